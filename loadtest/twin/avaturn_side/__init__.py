"""The twin of Avaturn Live: its public API, its SDK API, its rooms, and its own client of OpenAI.

Source: docs/contract.md#avaturn.
"""
