"""What the tests' tiny checkpoints have in common."""

WIDTH = 32  # of their states
