"""latentsearch: a 10-number code for every image, learnt without labels, and look-alikes found by it."""

__version__ = "0.1.0"
