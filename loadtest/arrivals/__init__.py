"""When sessions start: arithmetic on offsets from the start of the run. It knows the language alone."""
