"""Where a run lies: a folder that goes with its object, and a whole copy in a place of its own."""

import os
import secrets
import shutil
import tempfile
import weakref
from contextlib import nullcontext
from pathlib import Path

from lmindexer.errors import InputError
from lmindexer.files import disk_is_full
from lmindexer.runs import Run, writing
from lmindexer.runs.lock import LOCK, make_folder


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


def copy_run(run: Run, out: Path, *, lasts: bool) -> None:
    """A copy of the whole run folder, which appears at `out` by one rename.

    While it is copied nobody else writes to a run that `lasts`. Raises InputError where something stands at `out`, and
    where there is no space.
    """
    try:
        Run.check_free(out)
    except InputError:
        raise InputError(f"{out} exists already; save to another folder, or remove that one first") from None
    make_folder(out.parent)
    part = out.with_name(f".{secrets.token_hex(4)}.{out.name}")
    may_be_locked = lasts and os.access(run.path, os.W_OK)
    try:
        with writing(run.path) if may_be_locked else nullcontext():
            shutil.copytree(run.path, part, ignore=shutil.ignore_patterns(LOCK))
        if out.exists():  # what a killed run left there, as `check_free` found
            shutil.rmtree(out)
        part.rename(out)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError | shutil.Error) and disk_is_full(error):
            raise InputError(f"no space left on {out.parent.resolve()}; free some and save again") from error
        raise
