"""Text on its way in and out: what is believed, what an output may hold, durations, TOML, mistyped words."""
