"""Two sets of runs: may they be compared, what changed, its pages."""
