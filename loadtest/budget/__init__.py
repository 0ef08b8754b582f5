"""What a run may still begin and spend, reserved in one file for all its processes, and what each session has cost so
far. What a plan would cost is in `forecast/`."""
