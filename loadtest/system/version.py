"""The version, which journals, spans, reports and `--version` tell."""

__version__ = "0.1.0"
