"""What was heard of an answer: when it began, whether it was whole, what it said; and both sides as WAV files."""
