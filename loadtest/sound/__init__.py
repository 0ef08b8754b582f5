"""Sound as both services carry it: clips, files, loudness, and the corpus that is shipped."""
