"""What watches a run from outside: the scrape config of Prometheus; its names come from `exporters.catalogue`."""
