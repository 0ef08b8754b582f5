"""Rooms: where the user and the avatar hear each other. One module per kind; `ports.Room` says what they share."""
