"""What rows of tables are called on the disk."""

import re


def folder_name(name: str) -> str:
    """Of a row of a table, as a folder: `rq-VAE (bundled)` is rq-vae-bundled."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
