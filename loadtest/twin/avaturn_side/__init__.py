"""The twin of Avaturn Live: its public API, its SDK API, its rooms, and its own client of OpenAI (PROTOCOL.md 3)."""
