"""What a run asks of its machine: the clock, files, pipes between processes; and its own version."""
