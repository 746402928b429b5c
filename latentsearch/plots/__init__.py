"""Figures of Matplotlib from arrays."""
