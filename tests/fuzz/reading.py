"""Mutated catalogues and logs, of every format: each is read, or refused in one bounded line; never a trace.

    python tests/fuzz/reading.py --inputs 3000 --seed 1

A mutation knows the format: it changes a record, a cell, a line, a byte, an Arrow type. Beside traces and messages
the count is checked: a file of n well-formed lines has n records, whatever quotes stand in them.
"""

import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.readers import READERS
from lmindexer.errors import InputError
from lmindexer.tasks.sequences import load_sequences

WORDS = [
    *("", " ", "nan", "None", "a", "kite", "red kite", "é", "\u2028", "\ud83d", "\0", "\ufeff", '"', "'", '""', "\\"),
    *(",", "\t", ";", "|", "::", ">", " > ", "a > b", "[", "]", "{", "}", "[]", "['a', 'b']", "[['a' 'b']]", "[" * 60),
    *(
        "<b>",
        "&amp;",
        "<script>",
        "&#0;",
        "&#1114112;",
        ".a{b:c}",
        "\n",
        "\r",
        "\r\n",
        "1.0",
        "1e999",
        "-1",
        "9" * 5000,
    ),
    *("2024-05-01", "0000-00-00", "9999-12-31T23:59:59Z", "inf", "user_id", "x" * 5000, "洗发水", "🙂"),
]
VALUES: list[Any] = [
    *(None, True, 0, -1, 2**70, 1.5, float("nan"), float("inf"), [], {}, [[]], [None], [{}], {"a": 1}, [["a"], ["b"]]),
    *([1, "a", None, 2.0], {"id": 1}, [[[[["deep"]]]]]),
]
NAMES = ["id", "_id", "item_id", "title", "text", "label", "user", "items", "item", "time", "asin", "x", "", "ID"]
TYPES = [
    *(pa.int8(), pa.float16(), pa.float64(), pa.string(), pa.large_string(), pa.binary(), pa.bool_(), pa.null()),
    *(pa.timestamp("ns"), pa.timestamp("us", "Mars/Olympus"), pa.timestamp("s"), pa.date32(), pa.date64()),
    *(pa.time32("s"), pa.time64("ns"), pa.duration("ns"), pa.decimal128(38, 2), pa.list_(pa.string())),
    *(pa.list_(pa.timestamp("us")), pa.struct([("a", pa.date32())]), pa.map_(pa.string(), pa.int64())),
    pa.dictionary(pa.int32(), pa.string()),
]


def value(dice: random.Random) -> Any:
    if dice.random() < 0.6:
        return "".join(dice.choice(WORDS) for _ in range(dice.randint(1, 3)))
    return dice.choice(VALUES)


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


def of_json(dice: random.Random) -> tuple[str, bytes]:
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
    return dice.choice([".jsonl", ".json"]), mangled(dice, text.encode("utf-8", "surrogatepass"))


def of_table(dice: random.Random) -> tuple[str, bytes]:
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
    return kind, mangled(dice, buffer.getvalue().encode("utf-8", "surrogatepass"))


def of_words(dice: random.Random) -> tuple[str, bytes]:
    mark = dice.choice([" ", "\t", "::", ",", "|"])
    lines = []
    for n in range(dice.randint(1, 8)):
        words = [f"u{n}", *(f"d{dice.randrange(8)}" for _ in range(dice.randint(0, 5)))]
        if dice.random() < 0.3:
            words = [str(n), f"d{n}", "4", str(978300000 + n)]
        if dice.random() < 0.2:
            words[dice.randrange(len(words))] = dice.choice(WORDS)
        lines.append(mark.join(words))
    return dice.choice([".txt", ".dat", ".data"]), mangled(dice, "\n".join(lines).encode("utf-8", "surrogatepass"))


def of_parquet(dice: random.Random) -> tuple[str, bytes]:
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
    return ".parquet", mangled(dice, buffer.getvalue())


def mangled(dice: random.Random, content: bytes) -> bytes:
    """Bytes changed in half of the cases."""
    while content and dice.random() < 0.35:
        at, size = dice.randrange(len(content)), dice.randint(1, 40)
        change: bytes = dice.choice(
            [
                content[:at] + bytes([dice.randrange(256)]) + content[at + 1 :],
                content[:at],
                content[:at] + content[at + size :],
                content[:at] + content[at : at + size] * 3 + content[at + size :],
                content[:at] + dice.choice(WORDS).encode("utf-8", "surrogatepass") + content[at:],
                content.replace(b"\n", b"\r"),
                b"\xef\xbb\xbf" + content,
                content.decode("utf-8", "replace").encode("utf-16"),
            ]
        )
        content = change
    return content


def packed(dice: random.Random, kind: str, content: bytes) -> tuple[str, bytes]:
    if kind == ".parquet" or dice.random() < 0.8:
        return kind, content
    pack: Callable[[bytes], bytes]
    suffix, pack = dice.choice([(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
    content = pack(content)
    return kind + suffix, mangled(dice, content)


def lines_with_quotes(dice: random.Random, folder: Path) -> str:
    """A table of one line a row, with quotes anywhere: so many lines, so many records."""
    kind, mark = dice.choice([(".csv", ","), (".tsv", "\t")])
    count = dice.randint(1, 30)
    cells = [
        "".join(dice.choice(['"', "'", "a", " ", "\\", "12", "kite"]) for _ in range(dice.randint(1, 6)))
        for _ in range(count)
    ]
    path = folder / f"quotes{kind}"
    path.write_text("\n".join([f"id{mark}title", *(f"{n}{mark}{cell}" for n, cell in enumerate(cells))]))
    found = READERS[kind].survey(path).records
    return "" if found == count else f"{found} records of {count} lines"


def judged(path: Path, dice: random.Random) -> str:
    """What is wrong with how a file is read; "" where nothing is."""
    label = dice.choice(["", "label", "time", "x"])
    flags = {name: dice.random() < 0.5 for name in ("skip_bad", "keep_empty", "keep_markup", "keep_going")}
    for what in ("corpus", "log"):
        try:
            if what == "corpus":
                Corpus.read(path, label=label, **flags)
            else:
                load_sequences(path, [f"d{n}" for n in range(8)], keep_going=flags["keep_going"])
        except InputError as error:
            message = str(error)
            if len(message) > 600 or not message.isprintable():
                return f"{what}: a message of {len(message)} characters"
        except Exception:
            return f"{what}: " + traceback.format_exc().strip()
    return ""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="A folder for the files that went wrong.")
    options = parser.parse_args()
    faults: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for n in range(options.inputs):
            dice = random.Random(f"{options.seed} {n}")
            kind, content = dice.choice([of_json, of_json, of_table, of_table, of_words, of_parquet])(dice)
            kind, content = packed(dice, kind, content)
            path = Path(folder) / f"a{kind}"
            path.write_bytes(content)
            for fault in filter(None, (judged(path, dice), lines_with_quotes(dice, Path(folder)))):
                last = fault.splitlines()[-1]
                if not faults[last]:
                    print(f"input {n} ({kind}): {fault}\n")
                    if options.keep:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        (options.keep / f"{options.seed}-{n}{kind}").write_bytes(content)
                faults[last] += 1
            path.unlink()
    print(f"{options.inputs:,} inputs, {faults.total():,} faults of {len(faults)} kinds")
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()
