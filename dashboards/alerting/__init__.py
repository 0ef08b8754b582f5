"""Alerting and recording rules for Prometheus."""
