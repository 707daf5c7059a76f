"""Where a run lies that has no folder named for it: in one that goes with its object."""

import os
import shutil
import tempfile
import weakref
from pathlib import Path


class TemporaryRun:
    """A place for a run that is removed with this object, or when Python ends."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="lmindexer-")
        self.path = Path(folder) / "run"
        weakref.finalize(self, _remove, folder, os.getpid())


def place_of(out: str | Path | None) -> tuple[Path, TemporaryRun | None]:
    """Where a run goes: the folder `out`, or without one a temporary one and what keeps it."""
    if out is not None:
        return Path(out), None
    temporary = TemporaryRun()
    return temporary.path, temporary


def _remove(folder: str, maker: int) -> None:
    """Not in a process that was forked from the maker: there the run is still in use."""
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
