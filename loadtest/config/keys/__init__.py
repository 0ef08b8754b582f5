"""Every key of the scenario file: type, default, bounds; a module per table. `settings.py` puts the tables together."""
