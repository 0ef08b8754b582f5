"""Connections to a target: who opens one opens it here."""
