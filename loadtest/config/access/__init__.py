"""Who may be contacted, trusted by which certificates, and who may read the metrics."""
