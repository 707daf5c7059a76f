"""How fast every hot path is, beside a peer on the same weights and data, and beside its floor."""
