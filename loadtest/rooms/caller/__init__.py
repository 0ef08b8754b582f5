"""Between the caller and the room: what comes back into the microphone, and what the line makes of it all."""
