"""Packages that lmindexer can do without, imported where a user asks for what they do."""

from importlib import import_module
from typing import Any

from lmindexer.errors import InputError


def optional(package: str, use: str) -> Any:
    """The module `package`. Raises InputError that says how to install it, where it is missing."""
    try:
        return import_module(package)
    except ImportError:
        raise InputError(f"{use} needs {package}, which is not installed; run: pip install {package}") from None
