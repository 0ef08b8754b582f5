"""The twin of OpenAI: client secrets over REST, and the GA Realtime WebSocket (PROTOCOL.md 1 and 2)."""
