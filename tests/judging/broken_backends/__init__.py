"""Backends that break their word on the wire, not by a switch of the twin: a man in the middle, and what he does."""
