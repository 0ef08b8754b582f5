"""Rooms: who is in one, its app-messages, its sound."""
