"""The documents that a model was taught with, as a run keeps them: others came later."""

from collections.abc import Sequence

from lmindexer.errors import InputError
from lmindexer.indexers.kept_vectors import UNREADABLE, Key, load_keys, save_keys
from lmindexer.runs import Run

KNOWN = "known.parquet"


def save_known(run: Run, keys: Sequence[Key]) -> None:
    """Keep the keys of the documents that there are in teaching."""
    save_keys(run.path / KNOWN, keys)


def load_known(run: Run) -> list[Key]:
    """The keys that `save_known` kept. Raises InputError where they cannot be read."""
    path = run.file(KNOWN)
    try:
        return load_keys(path)[0]
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read ({error}); fine-tune anew") from None
