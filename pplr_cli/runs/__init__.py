"""The run folder: records, status, resume, labels, health."""
