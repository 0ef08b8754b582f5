"""Commands for who writes scenarios: a first one, examples, what an editor knows of them, what a shell completes."""
