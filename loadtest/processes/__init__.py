"""The processes of a run, as its command starts, follows and ends them: Locust, twin, exporters; Ctrl-C and ports."""
