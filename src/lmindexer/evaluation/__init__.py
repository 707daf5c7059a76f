"""Judging: what is measured against what, beside the formulas of `ids.quality`."""
