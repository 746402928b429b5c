"""Damaged files for every reader of outside data; shared by tests and by benchmarks/fuzz.py."""
