"""One module for each format of vector files."""
