"""Corpus -> IdTable: one file an indexer."""
