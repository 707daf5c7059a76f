"""Catalogues and logs of every format, made odd by who knows the format: a record, a cell, a line, an Arrow type."""

import bz2
import csv
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fuzz.words import WORDS, mangled, value

NAMES = ["id", "_id", "item_id", "title", "text", "label", "user", "items", "item", "time", "asin", "x", "", "ID"]
TYPES = [
    *(pa.int8(), pa.float16(), pa.float64(), pa.string(), pa.large_string(), pa.binary(), pa.bool_(), pa.null()),
    *(pa.timestamp("ns"), pa.timestamp("us", "Mars/Olympus"), pa.timestamp("s"), pa.date32(), pa.date64()),
    *(pa.time32("s"), pa.time64("ns"), pa.duration("ns"), pa.decimal128(38, 2), pa.list_(pa.string())),
    *(pa.list_(pa.timestamp("us")), pa.struct([("a", pa.date32())]), pa.map_(pa.string(), pa.int64())),
    pa.dictionary(pa.int32(), pa.string()),
]


def records(dice: random.Random) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for n in range(dice.randint(1, 12)):
        record: dict[str, Any] = {"id": f"d{n}", "title": f"kite {n}", "label": "Toys > Kites"}
        record |= {"user": f"u{n % 3}", "item": f"d{n % 5}", "time": n}
        while dice.random() < 0.3:
            record[dice.choice(NAMES)] = value(dice)
        while dice.random() < 0.1 and record:
            del record[dice.choice(list(record))]
        found.append(record)
    return found


@dataclass(frozen=True)
class Made:
    """A file to read: how its name ends, its bytes, and how many records are there, where that is certain."""

    suffix: str
    content: bytes
    records: int | None = None


def of_json(dice: random.Random) -> Made:
    items = records(dice)
    form = dice.randrange(6)
    text = "\n".join(map(json.dumps, items))
    if form == 1:
        text = json.dumps(items, indent=dice.choice([None, 1]))
    elif form == 2:
        text = json.dumps({f"k{n}": item for n, item in enumerate(items)}, indent=dice.choice([None, 1]))
    elif form == 3:
        text = "\n".join(map(str, items))
    elif form == 4:
        text = "\n".join(json.dumps(item, indent=2) for item in items)
    elif form == 5:
        text = json.dumps({f"u{n}": value(dice) for n in range(3)})
    suffix = dice.choice([".jsonl", ".json"])
    return perhaps_mangled(dice, suffix, text, len(items) if form == 0 and suffix == ".jsonl" else None)


def of_table(dice: random.Random) -> Made:
    kind = dice.choice([".csv", ".tsv", ".item", ".inter"])
    buffer = io.StringIO()
    items = records(dice)
    names = list(dict.fromkeys(name for item in items for name in item))
    mark = "," if kind == ".csv" else "\t"
    if dice.random() < 0.5:
        writer = csv.DictWriter(buffer, names, delimiter=mark)
        writer.writeheader()
        writer.writerows(items)
    else:
        rows = [names, *([item.get(name, "") for name in names] for item in items)]
        buffer.write("\n".join(mark.join(map(str, row)) for row in rows))
    return perhaps_mangled(dice, kind, buffer.getvalue(), None)


def of_quotes(dice: random.Random) -> Made:
    """A table of one line a row, with quotes anywhere: so many lines, so many records."""
    kind, mark = dice.choice([(".csv", ","), (".tsv", "\t")])
    count = dice.randint(1, 30)
    marks = ['"', "'", "a", " ", "\\", "12", "kite"]
    cells = ["".join(dice.choice(marks) for _ in range(dice.randint(1, 6))) for _ in range(count)]
    text = "\n".join([f"id{mark}title", *(f"{n}{mark}{cell}" for n, cell in enumerate(cells))])
    return Made(kind, text.encode(), count)


def of_words(dice: random.Random) -> Made:
    mark = dice.choice([" ", "\t", "::", ",", "|"])
    lines = []
    for n in range(dice.randint(1, 8)):
        words = [f"u{n}", *(f"d{dice.randrange(8)}" for _ in range(dice.randint(0, 5)))]
        if dice.random() < 0.3:
            words = [str(n), f"d{n}", "4", str(978300000 + n)]
        if dice.random() < 0.2:
            words[dice.randrange(len(words))] = dice.choice(WORDS)
        lines.append(mark.join(words))
    return perhaps_mangled(dice, dice.choice([".txt", ".dat", ".data"]), "\n".join(lines), None)


def perhaps_mangled(dice: random.Random, suffix: str, text: str, count: int | None) -> Made:
    whole = text.encode("utf-8", "surrogatepass")
    content = mangled(dice, whole)
    return Made(suffix, content, count if content == whole else None)


def of_parquet(dice: random.Random) -> Made:
    count = dice.randint(0, 8)
    names = ["id", "title", "user", "item", "time", *(dice.choice(NAMES) for _ in range(dice.randint(0, 3)))]
    columns = []
    for name in names:
        cells: pa.Array = pa.array([f"{name}{n}" for n in range(count)])
        if dice.random() < 0.4:
            kind = dice.choice(TYPES)
            raw = pa.array(
                [dice.choice([None, dice.randrange(-(2**62), 2**62), dice.randrange(9)]) for _ in range(count)]
            )
            try:
                cells = raw.cast(kind, safe=False)
            except pa.ArrowException:
                try:
                    bits = raw.cast(pa.int64()) if raw.type != pa.null() else raw
                    cells = bits.view(kind) if kind.bit_width == 64 else pa.nulls(count, kind)
                except (pa.ArrowException, ValueError):
                    cells = pa.nulls(count, kind)
        columns.append(cells)
    buffer = io.BytesIO()
    try:
        pq.write_table(pa.Table.from_arrays(columns, names=names), buffer)
    except pa.ArrowException:  # of a type or value that Parquet cannot hold
        return of_parquet(dice)
    content = mangled(dice, buffer.getvalue())
    return Made(".parquet", content, count if content == buffer.getvalue() else None)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda content: bytes(pa.Codec("zstd").compress(content, asbytes=True)),
}


def packed(dice: random.Random, made: Made) -> Made:
    """Packed, and perhaps spoiled, in a fifth of the cases."""
    if made.suffix == ".parquet" or dice.random() < 0.8:
        return made
    suffix = dice.choice(list(PACKED))
    whole = PACKED[suffix](made.content)
    content = mangled(dice, whole)
    return Made(made.suffix + suffix, content, made.records if content == whole else None)


MAKERS = (of_json, of_json, of_table, of_table, of_words, of_parquet, of_quotes)


def catalogue(dice: random.Random) -> Made:
    return packed(dice, dice.choice(MAKERS)(dice))
