"""The metrics: their catalogue, the fold that counts them, the server of /metrics."""
