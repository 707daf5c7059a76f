"""One thing changed in a run folder by who knows its files: a byte, a value of a JSON file, a column, a tensor."""

import io
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import load, save

from fuzz.asking import changed
from fuzz.home import FINISHED
from fuzz.tables import TYPES
from fuzz.words import mangled, value
from lmindexer.runs import Run
from lmindexer.runs.contents import entry_of, present_names

POSITION = "position"  # of training, in the metadata of a checkpoint


@dataclass(frozen=True)
class Spoiled:
    """What was done, and whether run.json can tell: it lists the file, with the digest it had before."""

    what: str
    listed: bool


def spoil(dice: random.Random, run: Path, home: Path) -> Spoiled:
    """One file of a run folder changed; the list in run.json now and then follows, or is gone."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    path = dice.choices(files, [weight_of(path.relative_to(run)) for path in files])[0]
    before, name = path.read_bytes(), path.relative_to(run).as_posix()
    names = present_names(Run.open(run, finished=False).facts.get("files", {})).values()
    what = dice.choice([_bytes, _bytes, *[_by_format] * 4, _of_another, _gone, _folder])(dice, path, home)
    if path.is_file() and path.read_bytes() == before:
        return Spoiled(f"{name}: nothing", False)
    listed = name in names
    if listed and path.is_file() and dice.random() < 0.6:
        listed = not _relist(dice, run, name)
    return Spoiled(f"{name}: {what}", listed)


def weight_of(path: Path) -> float:
    """How often a file is drawn: the pretrained model's files are other people's, and pictures nobody reads."""
    if len(path.parts) > 1 or path.suffix in (".png", ".md"):
        return 0.2
    return 3.0 if path.name == "run.json" else 1.0


def _bytes(dice: random.Random, path: Path, home: Path) -> str:
    content = path.read_bytes()
    if content and dice.random() < 0.5:
        at = dice.randrange(len(content))
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << dice.randrange(8)]) + content[at + 1 :])
        return f"bit of byte {at}"
    path.write_bytes(mangled(dice, content) if dice.random() < 0.8 else b"")
    return "bytes"


def by_format(dice: random.Random, path: Path) -> str:
    """What its format knows is changed; bytes, where nothing is known of it."""
    change = FORMATS.get(path.suffix)
    content = change(dice, path.read_bytes()) if change else mangled(dice, path.read_bytes())
    path.write_bytes(content)
    return f"as {path.suffix}"


def _by_format(dice: random.Random, path: Path, home: Path) -> str:
    return by_format(dice, path)


def _of_another(dice: random.Random, path: Path, home: Path) -> str:
    others = [other for run in FINISHED for other in (home / run).rglob(path.name) if other.is_file()]
    other = dice.choice(others or [home / "items.jsonl"])
    shutil.copyfile(other, path)
    return f"that of {other.relative_to(home)}"


def _gone(dice: random.Random, path: Path, home: Path) -> str:
    path.unlink()
    return "gone"


def _folder(dice: random.Random, path: Path, home: Path) -> str:
    path.unlink()
    path.mkdir()
    return "a folder"


def _relist(dice: random.Random, run: Path, name: str) -> bool:
    """Let run.json agree with the changed file; whether it could be done."""
    try:
        facts = json.loads((run / "run.json").read_bytes())
        plain = next(key for key, entry in facts["files"].items() if entry.get("as", key) == name)
        if dice.random() < 0.3:
            facts = {key: kept for key, kept in facts.items() if key != "files"} | {"format": 1}
        else:
            facts["files"][plain] |= entry_of(run / name)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, OSError):
        return False
    (run / "run.json").write_text(json.dumps(facts))
    return True


def _json(dice: random.Random, content: bytes) -> bytes:
    whole = json.loads(content)
    for _ in range(dice.randint(1, 2)):
        whole = changed(dice, whole)
    return json.dumps(whole, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


def _jsonl(dice: random.Random, content: bytes) -> bytes:
    lines = content.splitlines()
    at = dice.randrange(len(lines) or 1)
    return b"\n".join([*lines[:at], *(_json(dice, line) for line in lines[at : at + 1]), *lines[at + 1 :]]) + b"\n"


def _toml(dice: random.Random, content: bytes) -> bytes:
    lines = content.decode().splitlines()
    at = dice.randrange(len(lines) or 1)
    odd = ["0", "-1", "1", "3", '"x"', "[]", "[9, 9]", "nan", "true", '""', "1e999", '"lmindexer"', '"rq-vae"', '"hc"']
    name = lines[at].partition(" = ")[0] if lines else "x"
    new = dice.choice([[], [lines[at]] * 2 if lines else [], *[[f"{name} = {dice.choice(odd)}"]] * 5])
    return "\n".join([*lines[:at], *new, *lines[at + 1 :]]).encode()


def _parquet(dice: random.Random, content: bytes) -> bytes:
    """A column of another type, name or value; rows that are gone, there twice or in another order; other metadata."""
    table = pq.read_table(io.BytesIO(content))
    at, rows = dice.randrange(table.num_columns), list(range(len(table)))
    name = table.column_names[at]
    for _ in range(dice.randint(1, 2)):
        change = dice.randrange(8)
        if change == 0:
            table = table.drop_columns([name]) if table.num_columns > 1 and name in table.column_names else table
        elif change == 1:
            new = [dice.choice([name, "id", "text", "x", f"c{n}"]) if n == at else old
                   for n, old in enumerate(table.column_names)]  # fmt: skip
            table = table.rename_columns(new)
        elif change in (2, 3) and name in table.column_names:
            cells = table[name].to_pylist()
            if cells:
                cells[dice.randrange(len(cells))] = dice.choice([None, value(dice), -1, 2**31, 10**6, "doc3"])
            table = _with_column(table, name, cells, dice)
        elif change == 4 and name in table.column_names:
            table = _with_column(table, name, [dice.randrange(9) for _ in rows], dice)
        elif change == 5:
            table = table.take(pa.array(dice.sample(rows, len(rows)), pa.int64()))
        elif change == 6:
            some = sorted(dice.choices(rows, k=dice.randint(0, len(rows)))) if rows else []
            table = table.take(pa.array(some, pa.int64()))
        else:
            kept: dict[Any, Any] = dict(table.schema.metadata or {})
            odd = dice.choice([b"", b"[]", b"[4]", b"[4, 4, 4]", b"[0, 0]", b"null", b'["a"]', b"{}", b"[1e999, 4]"])
            table = table.replace_schema_metadata({**kept, b"sizes": odd, b"results": dice.choice([odd, b'{"a": 1}'])})
        rows = list(range(len(table)))
    return _as_parquet(table)


def _with_column(table: pa.Table, name: str, cells: list[Any], dice: random.Random) -> pa.Table:
    """The column of these cells, in the type it had or in another."""
    at = table.column_names.index(name)
    for kind in (table.schema.field(at).type, None, dice.choice(TYPES), pa.string()):
        try:
            return table.set_column(at, name, pa.array(cells, kind))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            continue
    return table.set_column(at, name, pa.nulls(len(cells)))


def _as_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    try:
        pq.write_table(table, buffer)
    except pa.ArrowException:  # of a type that Parquet cannot hold
        return b""
    return buffer.getvalue()


def _safetensors(dice: random.Random, content: bytes) -> bytes:
    """A tensor of another shape, type, name or value; one more or less."""
    tensors = load(content)
    metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__")
    name = dice.choice(sorted(tensors))
    x = tensors[name]
    change = dice.randrange(8)
    if change == 0:
        del tensors[name]
    elif change == 1:
        tensors[f"{name}x"] = tensors.pop(name)
    elif change == 2:
        tensors[name] = np.zeros(dice.choice([(), (0,), (3,), (2, 2), (1, 1, 1)]), x.dtype)
    elif change == 3:
        tensors[name] = x.astype(dice.choice([np.float16, np.float64, np.int64, np.int8, np.bool_]))
    elif change == 4:
        tensors[name] = np.full_like(x, dice.choice([np.nan, np.inf, -1, 0]) if x.dtype.kind == "f" else -2)
    elif change == 5:
        tensors[name] = x[: dice.randrange(len(x) or 1)] if x.ndim else x
    elif change == 6 and metadata and POSITION in metadata:
        metadata[POSITION] = _json(dice, metadata[POSITION].encode()).decode("utf-8", "replace")
    else:
        tensors["more"] = np.zeros(3, np.float32)
    return save(tensors, metadata)


FORMATS: dict[str, Callable[[random.Random, bytes], bytes]] = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".toml": _toml,
    ".parquet": _parquet,
    ".safetensors": _safetensors,
}
