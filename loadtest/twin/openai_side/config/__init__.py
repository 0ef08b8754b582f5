"""The session object: its defaults, what may be in it, what clients may send."""
