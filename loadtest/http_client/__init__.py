"""Connections to a target: who opens one opens it here. What a target's refusal means, however it is told."""
