"""Which files a run holds, under which present name, and whether they are the ones that were written."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmindexer.errors import InputError

TEMPORARY = re.compile(r"\.[0-9a-f]{8}\..+")  # of write_atomically, where it was killed
GENERATION = re.compile(r"(?P<stem>.+)\.(?P<number>\d+)(?P<suffix>\.[^.]+)")
# Files that change by themselves, or can be made anew: their digests are not kept.
UNLISTED = re.compile(
    r"run\.json|log\.jsonl|checkpoint\.safetensors|report\.md|curves\.png|explore\.html|results-.*\.parquet"
    r"|(dense(-[0-9a-f]{16})?|items|dual_encoder)\.parquet|(start|best)\.safetensors|\..*"
)


def entry_of(path: Path) -> dict[str, Any]:
    """What is kept of a file: its size in bytes and its digest."""
    return {"bytes": path.stat().st_size, "digest": digest_of(path)}


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """`entry_of` every file of `listed_names`."""
    return {name: entry_of(folder / name) for name in listed_names(folder)}


def listed_names(folder: Path) -> list[str]:
    """Names of the files below `folder` whose digests are kept, with / between folders on every system, sorted."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if not any(UNLISTED.fullmatch(part) for part in path.parts))


def digest_of(path: Path) -> str:
    """BLAKE2b of a file's bytes, 16 of them in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def check_listing(files: Any, origin: Path) -> Mapping[str, Mapping[str, Any]]:
    """`files` of a run.json. Raises InputError when it is not what `listing` makes, or names a file elsewhere."""
    ok = isinstance(files, dict) and all(
        isinstance(entry, dict)
        and isinstance(entry.get("bytes"), int)
        and isinstance(entry.get("digest"), str)
        and _is_inside(name)
        and _is_inside(entry.get("as", name))
        for name, entry in files.items()
    )
    if not ok:
        raise InputError(f"{origin} is damaged (its list of files); learn the run anew")
    return dict(files)


def present_names(files: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """By name, that of the generation which `files` lists, such as "ids.1.parquet" of "ids.parquet"."""
    return {name: str(entry.get("as", name)) for name, entry in files.items()}


def fault_of(path: Path, entry: Mapping[str, Any]) -> str:
    """What is wrong with a file that was written as `entry` says; "" when nothing is."""
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != entry["bytes"]:
        return f"is damaged: it has {size:,} bytes and was written with {entry['bytes']:,}"
    if digest_of(path) != entry["digest"]:
        return "is damaged: its bytes are not those that were written"
    return ""


def generation_of(name: str) -> tuple[str, int]:
    """("ids.parquet", 3) of "ids.3.parquet"; ("ids.parquet", 0) of itself."""
    if found := GENERATION.fullmatch(name):
        return found["stem"] + found["suffix"], int(found["number"])
    return name, 0


def newest_generation(files: Mapping[str, Mapping[str, Any]]) -> int:
    """The highest number among the generations that `files` lists; 0 where all are the first."""
    return max((generation_of(name)[1] for name in present_names(files).values()), default=0)


def name_of_generation(name: str, number: int) -> str:
    """The reverse of `generation_of`."""
    path = Path(name)
    return f"{path.stem}.{number}{path.suffix}" if number else name


def generations(folder: Path, name: str) -> list[Path]:
    """The files of all generations of `name`."""
    plain = Path(name)
    found = [path for path in folder.glob(f"{plain.stem}.*{plain.suffix}") if generation_of(path.name)[0] == name]
    return list(dict.fromkeys([*found, *([folder / name] if (folder / name).exists() else [])]))


def leftovers(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> list[Path]:
    """What killed writers left: temporary files, and generations newer than those that `files` names."""
    newest = newest_generation(files)
    found = [path for path in folder.iterdir() if TEMPORARY.fullmatch(path.name)]
    for name in files:
        found += [path for path in generations(folder, name) if generation_of(path.name)[1] > newest]
    return found


def _is_inside(name: Any) -> bool:
    return isinstance(name, str) and bool(name) and not Path(name).is_absolute() and ".." not in Path(name).parts
