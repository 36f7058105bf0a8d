"""WordList and their index."""
