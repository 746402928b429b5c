"""Networks, losses, and encoders: built, exported and opened."""
