"""What a run may still begin and spend: reserved in one file for all its processes (`reserving.py`), and what each session
has cost so far (`spending.py`). What a plan would cost is in `planning/`."""
