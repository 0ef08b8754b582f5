"""Locust's web UI and table: the Sessions tab, the page /sessions."""
