"""Several processes that share one run: collectives, launcher, failures."""
