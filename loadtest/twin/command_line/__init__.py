"""The twin's command line: options, profiles from files, every knob by its key, the tables of TWIN.md."""
