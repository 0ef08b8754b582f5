"""What a secret looks like, however it is spelt: kept out of every output, and found where a server gives it back."""
