"""IDs as tokens of language models that other programs train and run."""
