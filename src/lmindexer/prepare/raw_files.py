"""Finding the published files in a folder, packed or not, and saying which ones are missing."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from lmindexer.corpus.streams import COMPRESSED, lines
from lmindexer.errors import InputError, printable

NAMES_SHOWN = 6


def raw_files(folder: Path) -> list[Path]:
    """Every file in the folder and below, those further up first. Raises InputError where it is no folder."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name the one with the published files, or get them with --download")
    visible = (path for path in folder.rglob("*") if not any(part.startswith(".") for part in _parts(path, folder)))
    return sorted((path for path in visible if path.is_file()), key=lambda path: (len(path.parts), path))


def unpacked_name(path: Path) -> str:
    """The name of a file without the end that says how it is packed."""
    return next((path.name.removesuffix(end) for end in COMPRESSED if path.name.endswith(end)), path.name)


def matching(folder: Path, *patterns: str) -> list[Path]:
    """The files whose unpacked names match one of the patterns, in the order of these."""
    files = raw_files(folder)
    return [path for pattern in patterns for path in files if fnmatch(unpacked_name(path), pattern)]


def find(folder: Path, *patterns: str) -> Path:
    """The one file that matches the first pattern that any file matches. Raises InputError for none and for several."""
    for pattern in patterns:
        found = matching(folder, pattern)
        if len(found) > 1:
            names = " and ".join(str(path.relative_to(folder)) for path in found[:2])
            raise InputError(f"{folder} has {names}, which are one file twice; keep one of them there")
        if found:
            return found[0]
    raise missing(folder, patterns)


def missing(folder: Path, patterns: Iterable[str]) -> InputError:
    """What to raise where none of the patterns has a file."""
    present = [printable(str(path.relative_to(folder))) for path in raw_files(folder)]
    more = f" and {len(present) - NAMES_SHOWN:,} more" if len(present) > NAMES_SHOWN else ""
    inside = f"in it are {', '.join(present[:NAMES_SHOWN])}{more}" if present else "it is empty"
    return InputError(
        f"{folder} has no {' or '.join(patterns)} (packed as {', '.join(COMPRESSED)} or not): {inside}; put the "
        "published file there, or get it with --download"
    )


def columns(path: Path, width: int, separator: str = "\t") -> Iterator[tuple[int, list[str]]]:
    """Line and fields of a file without a header; the last field keeps further separators.

    Raises InputError for a line with fewer fields or an empty first one, and for one that is not UTF-8.
    """
    for number, line in enumerate(lines(path), 1):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise InputError(f"{path}, line {number}: not UTF-8; convert the file, e.g. with iconv -t UTF-8") from None
        if not text.strip():
            continue
        fields = text.split(separator, width - 1)
        if len(fields) < width or not fields[0].strip():
            raise InputError(
                f"{path}, line {number}: there are not {width} fields, parted by {separator!r}; the file may be cut "
                "off, so fetch it again"
            )
        yield number, fields


def _parts(path: Path, folder: Path) -> tuple[str, ...]:
    return path.relative_to(folder).parts
