"""What each board shows, and all of them as files for Grafana."""
