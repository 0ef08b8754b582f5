"""What a person asks for: a module per command, with its inputs, what it prints and its exit code. It may know
everything below.
"""
