"""Documents come in: files, rows, tokens."""
