"""Inside a Locust process: its users, their tickets, the conductor. Sessions are handed to an engine."""
