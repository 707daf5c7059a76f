"""Packages that lmindexer can do without, imported where a user asks for what they do."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lmindexer.errors import InputError


def optional(package: str, use: str, extra: str = "") -> Any:
    """The module `package`. Raises InputError where it is missing, with how to install it or the `extra` it is of."""
    try:
        return import_module(package)
    except ImportError:
        wanted = f"'lmindexer[{extra}]'" if extra else package
        raise InputError(f"{use} needs {package}, which is not installed; run: pip install {wanted}") from None


def is_installed(package: str) -> bool:
    """Whether the module `package` can be imported; it is not."""
    return find_spec(package) is not None
