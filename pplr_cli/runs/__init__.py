"""Run folders: records, status, labels, health, resuming."""
