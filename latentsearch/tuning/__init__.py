"""Search for the best settings by trials."""
