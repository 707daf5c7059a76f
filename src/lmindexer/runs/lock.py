"""One writer a run folder, over all processes and threads of a machine; the lock ends with its process."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from lmindexer.errors import InputError
from lmindexer.progress import Progress

LOCK = ".lock"  # the file in the run folder
PATIENCE = 600.0  # seconds that a short change waits for another one


class ReadOnlyError(InputError):
    """A run that may be read and not be changed."""


@contextmanager
def writing(folder: Path, *, wait: bool = True, make: bool = False, progress: Progress | None = None) -> Iterator[None]:
    """Be the only one that writes in a run folder; entered again in the same thread, it goes on.

    With `wait` another writer is waited for, which `progress` tells; without, as for learning, which takes long, it
    is refused at once. `make` makes the folder where there is none, and removes it if it is left empty.

    Raises:
        InputError: when another process or thread is writing there.
        ReadOnlyError: when the folder cannot be written to.
    """
    made = make_folder(folder) if make else []
    lock = FileLock(folder.resolve() / LOCK, is_singleton=True)
    try:
        lock.acquire(timeout=1.0 if wait else 0.0)
    except Timeout:
        if not wait:
            raise InputError(
                f"another process is writing to {folder}; wait until it has ended, stop it, or choose another folder"
            ) from None
        if progress is not None:
            progress.say(f"another process is writing to {folder}; waiting for it")
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            raise InputError(
                f"another process has been writing to {folder} for {PATIENCE / 60:.0f} minutes; try again when it "
                "has ended, or stop it"
            ) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReadOnlyError(f"cannot write to the run folder {folder} ({reason}); check its permissions") from None
    try:
        yield
    finally:
        if made and (not folder.is_dir() or [path.name for path in folder.iterdir()] == [LOCK]):
            (folder / LOCK).unlink(missing_ok=True)
            for path in made:
                with suppress(OSError):  # gone already, or someone else's
                    path.rmdir()
        lock.release()


def make_folder(folder: Path) -> list[Path]:
    """Make a run folder and those above it; those that were missing, innermost first.

    Raises:
        InputError: where that cannot be.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} exists already and is not a run folder; choose another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the run folder {folder} ({error.strerror}); choose another --out") from None
    return missing
