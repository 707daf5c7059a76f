"""How a file reaches the disk: whole or not at all; and how a value becomes JSON."""

import errno
import hashlib
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lmindexer.errors import InputError

_UMASK = os.umask(0o022)
os.umask(_UMASK)


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it: a reader sees the old file or the new.

    The temporary name ends in `path.name`, because some writers choose the format by the suffix.
    """
    path = Path(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_UMASK)  # some writers keep their files to the owner
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except BaseException as error:  # an interrupted write leaves nothing behind either
        temporary.unlink(missing_ok=True)
        if isinstance(error, Exception) and disk_is_full(error):
            raise InputError(f"no space left on {path.parent.resolve()}; free some and run again") from error
        raise
    if os.name == "posix":
        _flush_folder(path.parent)  # so that the rename, too, survives a power cut


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write into, which becomes `path` at the end: there is all of it, or nothing.

    Raises InputError where `path` is there already, unless as an empty folder.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} is there already; name another folder, or remove it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path} ({error.strerror}); choose another") from None
    temporary = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    temporary.mkdir()
    try:
        yield temporary
        for written in temporary.rglob("*"):
            if written.is_file():
                with written.open("rb+") as file:
                    os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, Exception) and disk_is_full(error):
            raise InputError(f"no space left on {path.parent.resolve()}; free some and run again") from error
        raise
    if os.name == "posix":
        _flush_folder(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a folder beside its place, and put it there; what a stop in the middle left is made anew."""
    part = path.with_name(f".{path.name}")
    for old in (path, part):
        shutil.rmtree(old, ignore_errors=True)
    write(part)
    part.rename(path)


def write_text(path: Path, text: str) -> None:
    """`write_atomically` for text, in UTF-8."""

    def write(temporary: Path) -> None:
        temporary.write_text(text, encoding="utf-8")

    write_atomically(path, write)


def json_text(value: Any, **how: Any) -> str:
    """`json.dumps` for all JSON that is written here: a number that is not finite, which JSON cannot say, is null."""
    try:
        return json.dumps(value, allow_nan=False, **how)
    except ValueError:
        return json.dumps(finite(value), allow_nan=False, **how)


def finite(value: Any) -> Any:
    """The same for JSON: what is not finite becomes None, a tuple a list."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_is_full(error: Exception) -> bool:
    """Also when a library has wrapped the system's error in its own, keeping only the text."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return os.strerror(errno.ENOSPC) in str(error)
