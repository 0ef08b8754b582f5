"""A recording of the real services, and what is different in the twin."""
