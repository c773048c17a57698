"""Retrieval: distances, mAP and CMC, re-ranking."""
