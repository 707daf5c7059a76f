"""A store of published runs: whole copies that do not change, and a pointer to the one that is served.

STORE/versions/0001, 0002, ... are run folders, each of which appeared by one rename; STORE/current.json names one of
them, and changes by one rename. So whoever reads sees a whole version, and the one before is still there to go back to.
"""

import json
import re
import shutil
from pathlib import Path

from lmindexer.errors import InputError, excerpt
from lmindexer.files import json_text, write_text
from lmindexer.runs.copying import copy_run
from lmindexer.runs.folder import Run
from lmindexer.runs.lock import LOCK, writing

CURRENT, VERSIONS = "current.json", "versions"
NAME = re.compile("[0-9]{4,}")


def is_store(path: Path) -> bool:
    """Whether a folder is a store that something was published to."""
    return (path / CURRENT).is_file()


def publish(run: Run, store: Path) -> str:
    """Copy a run into a store, which is made where there is none, and point to it; returns the name of the version.

    Raises InputError where `store` is something else, and as `copy_run`; then what was current stays so.
    """
    if store.exists() and not is_store(store) and any(path.name not in (LOCK, VERSIONS) for path in _inside(store)):
        raise InputError(f"{store} exists already and is no store of versions; choose another --to")
    if run.path.resolve().is_relative_to(store.resolve()):
        raise InputError(f"{run.path} is a version of {store} already; go back to one with lmindexer rollback")
    with writing(store, make=True):
        folder = store / VERSIONS
        folder.mkdir(exist_ok=True)
        for left in folder.glob(".*"):  # of a publish that was killed
            shutil.rmtree(left)
        version = f"{1 + max(map(int, versions_of(store)), default=0):04}"
        copy_run(run, folder / version, lasts=True)
        _point(store, version)
    return version


def rollback(store: Path, version: str = "") -> str:
    """Point to a version, by default to the one before the current; returns its name.

    Raises InputError where there is none.
    """
    now = current(store)
    with writing(store):
        versions = versions_of(store)
        if not version:
            version = max((name for name in versions if int(name) < int(now)), key=int, default="")
            if not version:
                raise InputError(f"{now} is the first version of {store}; there is none before it")
        if version not in versions:
            raise InputError(f"{store} has no version {excerpt(version)}; choose one of {', '.join(versions)}")
        Run.open(store / VERSIONS / version)
        _point(store, version)
    return version


def current(store: Path) -> str:
    """The name of the version that is served. Raises InputError where the pointer is damaged or there is no store."""
    try:
        version = json.loads((store / CURRENT).read_text(encoding="utf-8"))["version"]
        if not NAME.fullmatch(version):
            raise ValueError("it names no version")
    except FileNotFoundError:
        raise InputError(f"{store} is no store of versions; make one with lmindexer publish RUN --to {store}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{store / CURRENT} is damaged ({error}); mend it with: lmindexer rollback") from None
    return str(version)


def folder_of(path: Path) -> tuple[Path, str]:
    """The run folder that a path means, and its version: of a store the current one, else the path itself and ""."""
    if not is_store(path):
        return path, ""
    version = current(path)
    return path / VERSIONS / version, version


def versions_of(store: Path) -> list[str]:
    """The versions that are there, the oldest first."""
    return sorted((path.name for path in _inside(store / VERSIONS) if NAME.fullmatch(path.name)), key=int)


def _point(store: Path, version: str) -> None:
    write_text(store / CURRENT, json_text({"version": version}) + "\n")


def _inside(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
