"""Which files a path means: a file of a known kind, a folder of shards, or a BEIR folder; and what is passed over."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

from lmindexer.corpus.memory import MEMORY, Records
from lmindexer.corpus.readers import READERS, Reader
from lmindexer.corpus.streams import COMPRESSED
from lmindexer.errors import InputError, printable

Paths = str | Path | Sequence[str | Path]
Readable = Path | Records  # what is read as one: a file, or records in memory

NAMES_TOLD = 5  # of what was passed over
_DESCRIPTIONS = {  # of data, no data
    *("dataset_info.json", "dataset_infos.json", "state.json", "dataset_dict.json", "prepared.json"),
}
_CAUSES = {
    ".xlsx": "is a spreadsheet; save it as CSV",
    ".xls": "is a spreadsheet; save it as CSV",
    ".ods": "is a spreadsheet; save it as CSV",
    ".arrow": "is an Arrow file; write it as Parquet, e.g. with Dataset.to_parquet",
    ".feather": "is an Arrow file; write it as Parquet",
    ".zip": "is an archive; unpack it",
    ".tar": "is an archive; unpack it",
    ".tgz": "is an archive; unpack it",
    ".7z": "is an archive; unpack it",
    ".pkl": "is a pickle, which can run any code and is not opened; write it as Parquet",
    ".pickle": "is a pickle, which can run any code and is not opened; write it as Parquet",
    ".txt": "is plain text; write one JSON object a line, in a file named .jsonl",
    ".dat": "is of an unknown kind, such as MovieLens' with '::' and no header; write it as CSV with a header",
    ".inter": "holds what users took, not items; name the .item file",
}


def are_paths(data: object) -> TypeGuard[Paths]:
    """Whether these are files: a path, or a list of nothing but paths."""
    if isinstance(data, str | Path):
        return True
    return isinstance(data, list | tuple) and bool(data) and all(isinstance(part, str | Path) for part in data)


def find_files(paths: Paths) -> list[Path]:
    """The files behind `paths`: each a file of a known kind, or a folder of such files."""
    files: list[Path] = []
    for path in _given(paths):
        if path.is_dir():
            shards, others = _parted(path)
            if not shards:
                _check_no_dataset(path)
                inside = f"; in it are {_names(others)}" if others else ""
                raise InputError(
                    f"the folder {path} has no file that ends in {_known()}; name the files to read{inside}"
                )
            files += shards
        elif not path.exists():
            raise InputError(f"{path} does not exist; check the path")
        elif not is_readable(path):
            cause = _CAUSES.get(_extension(path), f"is of an unknown kind; its name must end in {_known()}")
            raise InputError(f"{path} {cause}")
        else:
            files.append(path)
    if not files:
        raise InputError("no file to read was named; give at least one file or folder")
    return files


def passed_over(paths: Paths | Records) -> list[str]:
    """A note for each folder in which something is not read."""
    notes = []
    for path in () if isinstance(paths, Records) else _given(paths):
        if path.is_dir() and (others := _parted(path)[1]):
            queries = "; its queries are no documents" if _is_beir(path) else ""
            notes.append(f"passed over in {path}: {_names(others)}{queries}")
    return notes


def readables(paths: Paths | Records) -> list[Readable]:
    """The files behind `paths` as `find_files` finds them, or the records themselves."""
    return [paths] if isinstance(paths, Records) else [*find_files(paths)]


def reader_of(source: Readable) -> Reader:
    return MEMORY if isinstance(source, Records) else READERS[_extension(source)]


def is_readable(path: Path) -> bool:
    """Whether its name is that of a file that is read."""
    return _extension(path) in READERS


def _given(paths: Paths) -> list[Path]:
    return [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]


def _parted(folder: Path) -> tuple[list[Path], list[Path]]:
    """What of a folder is read, and what else is there; hidden files are neither."""
    visible = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    beir = _is_beir(folder)
    shards = [
        path
        for path in visible
        if path.is_file()
        and is_readable(path)
        and path.name not in _DESCRIPTIONS
        and not (beir and _stem(path) != "corpus")
    ]
    return shards, [path for path in visible if path not in set(shards)]


def _is_beir(folder: Path) -> bool:
    """Whether a folder holds corpus.jsonl and queries.jsonl, packed or not."""
    stems = {_stem(path) for path in folder.iterdir() if READERS.get(_extension(path)) is READERS[".jsonl"]}
    return {"corpus", "queries"} <= stems


def _stem(path: Path) -> str:
    return path.name.lower().partition(".")[0]


def _check_no_dataset(folder: Path) -> None:
    if any(folder.glob("*.arrow")) or (folder / "dataset_dict.json").exists():
        raise InputError(
            f"{folder} is a folder of datasets' save_to_disk; write it as Parquet: "
            "datasets.load_from_disk(FOLDER).to_parquet('items.parquet')"
        )


def _names(paths: Sequence[Path]) -> str:
    """A few names, and why each is not read where that is not plain."""
    names = []
    for path in paths[:NAMES_TOLD]:
        name = printable(path.name[:60])
        if path.is_symlink() and not path.exists():
            name += " (a link to nothing)"
        elif path.is_dir():
            name += "/ (a folder; name it, too, to read it)"
        names.append(name)
    return ", ".join(names) + (f" and {len(paths) - NAMES_TOLD:,} more" if len(paths) > NAMES_TOLD else "")


def _extension(path: Path) -> str:
    """`.jsonl` of `a.jsonl` and of `a.jsonl.gz`; a Parquet file is compressed inside, never outside."""
    name = path.name.lower()
    packing = next((suffix for suffix in COMPRESSED if name.endswith(suffix)), "")
    inner = Path(name.removesuffix(packing)).suffix
    return name if packing and inner == ".parquet" else inner


def _known() -> str:
    return f"{', '.join(READERS)} ({', '.join(COMPRESSED)} too, but for Parquet)"
