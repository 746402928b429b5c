"""Search: from queries to ranked results."""
