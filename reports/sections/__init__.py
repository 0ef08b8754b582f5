"""The figures of a report, a module per section of report.json."""
