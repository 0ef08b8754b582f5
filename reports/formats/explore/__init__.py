"""What the page shows of single sessions: which ones, what became of each, and where else one can look."""
