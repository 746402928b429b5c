"""Arrays to matplotlib figures."""
