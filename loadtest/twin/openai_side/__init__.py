"""The twin of OpenAI: client secrets over REST, and the GA Realtime WebSocket.

Source: docs/contract.md#minting-a-client-secret, #the-realtime-socket.
"""
