"""Weights: what can be downloaded, and the safe loading of foreign files."""
