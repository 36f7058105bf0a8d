"""Vector files and sources: formats, reading, writing, rows in blocks."""
