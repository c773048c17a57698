"""A training run from request to record."""
