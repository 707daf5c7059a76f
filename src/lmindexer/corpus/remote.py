"""Files of documents as shards: those on this machine, and those of a store such as S3, by their addresses."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from lmindexer.corpus.files import find_files, is_readable
from lmindexer.errors import InputError

WILD = "*?["


@dataclass(frozen=True)
class Shard:
    """One file of documents, and how it looked when it was found."""

    name: str  # an absolute path, or an address
    size: int  # bytes
    modified: int  # nanoseconds since 1970; 0 where nobody knows


def find_shards(paths: Sequence[str | Path]) -> tuple[Shard, ...]:
    """The files behind paths and addresses, in their order: s3://bucket/items/*.parquet, or what `find_files` takes.

    Raises InputError for an address that cannot be reached, or with no file that can be read.
    """
    shards: list[Shard] = []
    for path in map(str, paths):
        if "://" in path:
            shards += _remote(path)
        else:
            for file in find_files(path):
                facts = file.stat()
                shards.append(Shard(str(file.resolve()), facts.st_size, facts.st_mtime_ns))
    return tuple(shards)


@contextmanager
def local_copy(shard: Shard) -> Iterator[Path]:
    """The file of a shard on this machine; what is elsewhere is copied for as long as it is used.

    Raises InputError where it cannot be reached.
    """
    if "://" not in shard.name:
        yield Path(shard.name)
        return
    with tempfile.TemporaryDirectory(prefix="lmindexer-") as folder:
        copy = Path(folder) / shard.name.rpartition("/")[2]
        try:
            store, path = fs.FileSystem.from_uri(shard.name)
            with store.open_input_stream(path, compression=None) as remote, copy.open("wb") as local:
                shutil.copyfileobj(remote, local, 2**20)
        except (OSError, pa.ArrowException) as error:
            raise _unreachable(shard.name, error) from None
        yield copy


def _remote(address: str) -> list[Shard]:
    """The files of an address: of a folder all that can be read, of a pattern those that match it."""
    folder, _, last = address.rpartition("/")
    is_pattern = any(sign in last for sign in WILD)
    try:
        store, path = fs.FileSystem.from_uri(folder if is_pattern else address)
        found = store.get_file_info([path])[0]
        if found.type == fs.FileType.Directory:
            folder = folder if is_pattern else address.rstrip("/")
            files = sorted(store.get_file_info(fs.FileSelector(path)), key=lambda file: file.path)
        else:
            files = [found]
    except (OSError, pa.ArrowException) as error:
        raise _unreachable(address, error) from None
    shards = [
        Shard(f"{folder}/{file.base_name}", file.size, file.mtime_ns or 0)
        for file in files
        if file.is_file and is_readable(Path(file.base_name)) and fnmatch(file.base_name, last if is_pattern else "*")
    ]
    if not shards:
        raise InputError(f"{address} has no file that can be read; check the address")
    return shards


def _unreachable(address: str, error: Exception) -> InputError:
    what = str(error).partition("\n")[0]
    return InputError(f"{address} cannot be reached ({what}); check the address, and who may read it")
