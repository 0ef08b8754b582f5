"""What was asked for: settings, scenario, load, where they come from, and the run's directory.
It knows sound, service levels and the words of events; nothing here opens a connection but look-ups of names.
"""
