"""Data sets: reading, checking, decoding, augmenting, sampling."""
