"""Words and their index."""
