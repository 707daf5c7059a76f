"""A whole copy of a run folder, in a place of its own."""

import os
import secrets
import shutil
from contextlib import nullcontext
from pathlib import Path

from lmindexer.errors import InputError
from lmindexer.files import disk_is_full
from lmindexer.runs.folder import Run
from lmindexer.runs.lock import LOCK, make_folder, writing


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
