"""Reports: the page of a run, the pictures of an evaluation, loggers."""
