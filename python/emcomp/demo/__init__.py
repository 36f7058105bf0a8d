"""What ``emcomp demo`` does: learn small word vectors, compress them, show what it costs."""
