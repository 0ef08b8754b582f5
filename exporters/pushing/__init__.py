"""Metrics over OTLP: a process that sends what /metrics shows."""
