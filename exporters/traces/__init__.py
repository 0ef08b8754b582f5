"""Traces: a process that follows the journals and sends spans over OTLP."""
