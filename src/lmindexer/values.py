"""What Python users hand over, as the rest of the package knows it: arrays are lists, whole numbers can be ids."""

from collections.abc import Iterable
from typing import Any

from lmindexer.errors import InputError, check_list, excerpt

DocId = str | int  # what a user may write for the id of a document; inside it is a string


def plain(value: Any) -> Any:
    """A numpy scalar or array, a tensor or a series as Python has it; anything else as it is."""
    return value if isinstance(value, str) or not hasattr(value, "tolist") else value.tolist()


def id_text(value: object) -> str:
    """The id of a document as a string; a whole number is written without a fraction, as `Corpus` reads it.

    Raises:
        InputError: for what is neither a string nor a whole number.
    """
    if isinstance(value, str):
        return str(value)
    found = plain(value)
    if isinstance(found, str):
        return found
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if type(found) is not int:
        raise InputError(f"{excerpt(value)} is no id of a document; give a string or a whole number")
    return str(found)


def id_texts(values: Iterable[object], what: str) -> list[str]:
    """The ids of several documents. Raises InputError as `id_text`, and for one text or number in place of a list."""
    check_list(values, what)
    found = plain(values)
    if not isinstance(found, Iterable):
        raise InputError(f"{what} must be a list, not {excerpt(values)}; put it into brackets: [{excerpt(found)}]")
    return [id_text(value) for value in found]
