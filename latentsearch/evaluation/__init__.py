"""Measure a trained network, check it and report on it."""
