"""A run as an HTTP service with a page, over the same retrievers that the command line asks."""
