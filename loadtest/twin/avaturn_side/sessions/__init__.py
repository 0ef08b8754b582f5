"""Sessions of the twin: what one is, how and when it ends, and all that there are."""
