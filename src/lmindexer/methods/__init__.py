"""What answers: one file a method."""
