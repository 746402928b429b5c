"""Evaluation of a trained network: measurements, checks and a report."""
