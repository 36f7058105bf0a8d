"""Making compressed tables: in memory, streamed to files, and appending to them."""
