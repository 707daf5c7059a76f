"""Bytes come in: plain or compressed files, line by line, with the true cause where they cannot be read."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from lmindexer.errors import InputError

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
LARGEST_LINE = 2**28  # bytes; more is no line, but a file without line ends

_HEAD = 2**20  # bytes looked at to tell the encoding and the line ends
_BOM = b"\xef\xbb\xbf"
_NAMES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
_MAGIC = {
    b"\x1f\x8b": "gzip-compressed; let its name end in .gz",
    b"BZh": "bzip2-compressed; let its name end in .bz2",
    b"\xfd7zXZ": "xz-compressed; let its name end in .xz",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; let its name end in .zst",
    b"PAR1": "a Parquet file; let its name end in .parquet",
    b"ARROW1": "an Arrow file; write it as Parquet",
    b"PK\x03\x04": "a zip archive (or a spreadsheet); unpack it, or save it as CSV",
    b"\x89HDF": "an HDF5 file; write it as Parquet",
    b"SQLite format 3": "an SQLite database; write its table as CSV",
    b"%PDF": "a PDF; write its text as JSONL",
    b"version https://git-lfs": "the pointer of a file kept by Git LFS; fetch it with git lfs pull",
    b"<!DOCTYPE": "an HTML page, so perhaps a failed download; fetch it again",
    b"<html": "an HTML page, so perhaps a failed download; fetch it again",
}


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a file, decompressed by its name. Raises InputError where it is damaged or may not be read."""
    suffix = path.suffix.lower()
    try:
        with _open(path, suffix) as file:
            yield file
    except (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        raise _damaged(path, suffix, error) from error
    except OSError as error:
        if error.errno is None and suffix in _NAMES:  # what bz2 and zstd raise
            raise _damaged(path, suffix, error) from error
        raise InputError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their ends, without the byte order mark that some programs put first.

    Lines end in LF; in a file that has none of these, in CR. Raises InputError as `opened` does, and for what
    is no UTF-8 text at all.
    """
    with opened(path) as file:
        chunk = file.read(_HEAD)
        check_encoding(path, chunk)
        chunk = chunk.removeprefix(_BOM)
        end = b"\r" if b"\r" in chunk and b"\n" not in chunk else b"\n"
        if end == b"\r" and chunk.endswith(b"\r") and file.peek(1)[:1] == b"\n":  # type: ignore[attr-defined]
            end = b"\n"
        begun: list[bytes] = []  # the pieces of a line that is longer than a chunk
        while chunk:
            first, *others = chunk.split(end)
            begun.append(first)
            if others:
                yield b"".join(begun) + end
                *whole, last = others
                for line in whole:
                    yield line + end
                begun = [last]
            elif sum(map(len, begun)) > LARGEST_LINE:
                raise InputError(
                    f"{path} has a line of more than {LARGEST_LINE:,} bytes; end each record with a line end"
                )
            chunk = file.read(_HEAD)
        if last := b"".join(begun):
            yield last


def check_encoding(path: Path, head: bytes) -> None:
    """Raise InputError with the true cause where a file that begins with `head` is no UTF-8 text."""
    for magic, cause in _MAGIC.items():
        if head.startswith(magic):
            raise InputError(f"{path} is {cause}")
    encoding = ""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        encoding = "UTF-32"
    elif head.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    else:
        start = head[:4096]
        even, odd = start[::2].count(0), start[1::2].count(0)
        if len(start) >= 4 and max(even, odd) > 0.4 * len(start) / 2 and min(even, odd) < 0.1 * len(start) / 2:
            encoding = "UTF-16LE" if odd > even else "UTF-16BE"
    if encoding:
        raise InputError(f"{path} is {encoding}, not UTF-8; convert it with iconv -f {encoding} -t UTF-8")


def _open(path: Path, suffix: str) -> BinaryIO:
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(path))
    if suffix == ".bz2":
        return cast(BinaryIO, bz2.open(path))
    if suffix == ".xz":
        return cast(BinaryIO, lzma.open(path))
    if suffix == ".zst":
        return cast(BinaryIO, io.BufferedReader(pa.input_stream(str(path), compression="zstd")))
    return path.open("rb")


def _damaged(path: Path, suffix: str, error: Exception) -> InputError:
    name = _NAMES.get(suffix, "compressed")
    return InputError(f"{path} is not a whole {name} file ({error}); fetch or compress it again")
