"""The active checks, a function each, by the group of their rules."""
