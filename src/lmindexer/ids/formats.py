"""IDs as other programs read them: JSONL, CSV, Parquet, and the index.json of LETTER and LC-Rec."""

import csv
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase

from lmindexer.errors import InputError
from lmindexer.files import json_text, write_atomically
from lmindexer.ids.table import IdTable


def write_jsonl(table: IdTable, path: Path) -> None:
    """One line a document: {"id": "B004756YJA", "codes": [17, 401, 0]}."""

    def write(to: Path) -> None:
        with to.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in table.jsonl_lines())

    write_atomically(path, write)


def write_csv(table: IdTable, path: Path) -> None:
    """One row a document, one column a position."""

    def write(to: Path) -> None:
        with to.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["id", *(f"c{position + 1}" for position in range(len(table.sizes))), "suffix"])
            rows.writerows([doc_id, *codes] for doc_id, codes in zip(table.doc_ids, table.paths.tolist(), strict=True))

    write_atomically(path, write)


def position_letters(positions: int) -> str:
    """The letter of each position in tokens. Raises InputError where there are more than letters."""
    if positions > len(ascii_lowercase):
        raise InputError(f"tokens of IDs have letters for {len(ascii_lowercase)} positions, not {positions}")
    return ascii_lowercase[:positions]


def write_index(table: IdTable, path: Path) -> None:
    """One JSON object, {"B004756YJA": ["<a_17>", "<b_401>", "<c_0>"]}: tokens for a language model."""
    letters = position_letters(len(table.sizes) + 1)

    def write(to: Path) -> None:
        ids = {
            doc_id: [f"<{letter}_{code}>" for letter, code in zip(letters, path, strict=True)]
            for doc_id, path in zip(table.doc_ids, table.paths.tolist(), strict=True)
        }
        to.write_text(json_text(ids, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

    write_atomically(path, write)


WRITERS: dict[str, Callable[[IdTable, Path], None]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": IdTable.save,
    "index.json": write_index,
}
