"""What probes work with: a place, a session to examine, visits to its room, plain calls."""
