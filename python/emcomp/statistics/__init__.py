"""Sums over the rows of one or two tables, and what follows from them."""
