"""Sinks of a run: what Prometheus, OpenTelemetry and Locust's UI get to see. Views only; the journals are the truth."""
