"""Recommenders that read the sequence of a user's items, one embedding an item: compact networks after their papers."""
