"""Generated IDs, cosines and words summed: a few candidates of each are scored by all of them."""
