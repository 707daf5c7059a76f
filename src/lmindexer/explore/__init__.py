"""The picture of the learned IDs: what each code means, read as a tree."""
