"""What is told of a run while it goes on: a glance each second, on a terminal or as plain lines."""
