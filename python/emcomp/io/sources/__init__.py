"""Rows in blocks, one module for each kind of file or container."""
