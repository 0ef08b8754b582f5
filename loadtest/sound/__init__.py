"""Sound as both services carry it: clips, files, loudness, the ear, and the corpus that is shipped."""
