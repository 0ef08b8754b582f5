"""The caller's side of a room: his microphone and when its frames leave, what comes back into it, and what
the line makes of it all."""
