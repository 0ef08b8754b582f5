"""A turn: what is heard of the user, and the answer with its events."""
