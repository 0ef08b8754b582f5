"""The conversation engines that a session can have."""
