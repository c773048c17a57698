"""Weights: downloads, and safe loading of foreign files."""
