"""The compressed table: rows, bags, words, neighbours; its file, and folders of shards."""
