"""A query to its ranked results."""
