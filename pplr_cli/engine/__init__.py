"""PPLR itself: network, pseudo-labels, losses and the training loop."""
