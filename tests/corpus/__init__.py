"""How the corpus that is shipped was made: `corpus.toml` says what is said, `python -m tests.corpus` says it."""
