"""Which files a path means: a file of a known kind, or a folder of shards."""

from collections.abc import Sequence
from pathlib import Path

from lmindexer.corpus.readers import READERS, Reader
from lmindexer.errors import InputError

Paths = str | Path | Sequence[str | Path]


def find_files(paths: Paths) -> list[Path]:
    """The files behind `paths`: each a file of a known kind, or a folder of such files."""
    files: list[Path] = []
    given = [paths] if isinstance(paths, str | Path) else paths
    for path in map(Path, given):
        if path.is_dir():
            shards = sorted(p for p in path.iterdir() if _extension(p) in READERS and _is_visible_file(p))
            if not shards:
                raise InputError(f"the folder {path} has no file that ends in {_known()}; name the files to read")
            files += shards
        elif not path.exists():
            raise InputError(f"{path} does not exist; check the path")
        elif _extension(path) not in READERS:
            raise InputError(f"{path} is of an unknown kind; its name must end in {_known()}")
        else:
            files.append(path)
    if not files:
        raise InputError("no file to read was named; give at least one file or folder")
    return files


def reader_of(path: Path) -> Reader:
    return READERS[_extension(path)]


def _is_visible_file(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(".")


def _extension(path: Path) -> str:
    """`.jsonl` of `a.jsonl` and of `a.jsonl.gz`; a Parquet file is compressed inside, never outside."""
    name = path.name.lower()
    inner = Path(name.removesuffix(".gz")).suffix
    return name if name.endswith(".parquet.gz") else inner


def _known() -> str:
    return ", ".join(READERS) + " (.gz too, but for Parquet)"
