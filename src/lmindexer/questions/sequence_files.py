"""Sequences from logs of what users took, and in the file that a run keeps of what it was taught."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.corpus.readers import READERS, RecordError
from lmindexer.errors import InputError
from lmindexer.files import json_text, write_text
from lmindexer.questions.events import Taken
from lmindexer.questions.histories import Histories, HistoryData
from lmindexer.questions.sequences import FEWEST, HELD_OUT, PARTS, Sequences, items_and_parts, leave_one_out

SEQUENCES = "sequences.jsonl"  # of a run: what it was taught
LOST = 0.5  # of the items or users; more is no note
MANY_AGAIN = 0.2  # of the users take the same item twice in a row at the end: more is worth a note


def save_sequences(sequences: Sequences, doc_ids: Sequence[str], path: Path) -> None:
    """As JSONL that `load_taught` reads back with the same `doc_ids`, in the same parts.

    A line is {"user": ..., "train": [...]}, with "dev" and "test" where the user has an item there; of several, a list.
    """
    borders, lines = sequences.offsets[1:-1], []
    rows_and_parts = zip(np.split(sequences.rows, borders), np.split(sequences.parts, borders), strict=True)
    for user, (rows, parts) in zip(sequences.users, rows_and_parts, strict=True):
        record: dict[str, Any] = {"user": user, "train": [doc_ids[row] for row in rows[parts == 0].tolist()]}
        for part in HELD_OUT[::-1]:
            held = [doc_ids[row] for row in rows[parts == PARTS.index(part)].tolist()]
            record |= {part: held if len(held) > 1 else held[0]} if held else {}
        lines.append(json_text(record) + "\n")
    write_text(path, "".join(lines))


def load_taught(path: Path, doc_ids: Sequence[str]) -> Sequences:
    """What a run was taught, as `save_sequences` wrote it, in the same parts; of an older run without parts, too.

    Items that left the run are left out of their part, and told in `notes`.
    """
    taken: Taken = {}
    parts: list[int] = []
    for number, record in READERS[".jsonl"].records(path, ()):
        try:
            if isinstance(record, RecordError):
                raise record
            if "train" in record:
                items, parts_of_items = items_and_parts(record)
                parts += parts_of_items
            else:
                items = record["items"]
                parts += leave_one_out(np.array([len(items)])).tolist()
            taken[record["user"]] = items
        except (RecordError, KeyError, TypeError) as fault:
            raise InputError(f"{path}, line {number} is damaged ({fault}); fine-tune the run anew") from None
    return _known(path, taken, doc_ids, np.array(parts, np.int8), keep_going=True)


def load_sequences(data: HistoryData, doc_ids: Sequence[str], *, keep_going: bool = False) -> Sequences:
    """What users took of the documents `doc_ids`, users in their order; the forms are those of `Histories.of`.

    Unknown items, and users who took no other, are left out and told in `notes`; the rest is parted. Raises
    InputError that names file and line, when no known item is left, and when most items or users are unknown,
    unless `keep_going`.
    """
    found = Histories.of(data)
    parted = found.parts
    parts = None if parted is None else np.array([part for user in found.taken for part in parted[user]], np.int8)
    known = _known(found.source, found.taken, doc_ids, parts, keep_going=keep_going)
    return replace(known, notes=(*found.notes, *known.notes))


def _known(
    path: object, taken: Taken, doc_ids: Sequence[str], parts: np.ndarray | None = None, *, keep_going: bool = False
) -> Sequences:
    """Without the items that the corpus does not hold; parted after that, unless `parts` (of all items) are known."""
    row_of = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    users = list(taken)
    rows = np.fromiter((row_of.get(item, -1) for items in taken.values() for item in items), np.int32)
    user = np.repeat(np.arange(len(users)), [len(items) for items in taken.values()])  # of each row
    known = rows >= 0
    lengths = np.bincount(user[known], minlength=len(users))
    notes = []
    if (rows < 0).any():
        unknown = next(item for items in taken.values() for item in items if item not in row_of)
        if not known.any():
            example = f" and of the corpus is, for example, {doc_ids[0]!r}" if doc_ids else ""
            raise InputError(
                f"no item of {path} is in the corpus: of the file is, for example, {unknown!r}{example}; "
                "check that they belong together and name items alike"
            )
        notes.append(
            f"{(rows < 0).sum():,} of {len(rows):,} items that users took are not in the corpus and are left out "
            f"(the first: {unknown!r})"
        )
    if len(without := np.flatnonzero(lengths == 0)):
        notes.append(
            f"{len(without):,} of {len(users):,} users took no item of the corpus and are left out "
            f"(the first: {users[without[0]]!r})"
        )
    for what, lost, count in (("items", (rows < 0).sum(), len(rows)), ("users", len(without), len(users))):
        if lost > LOST * count and not keep_going:
            raise InputError(
                f"{lost:,} of {count:,} {what} of {path} would be left out: {'; '.join(notes)}; check that file and "
                "documents belong together, or go on with --keep-going"
            )
    if parts is not None and (gone := ((parts == PARTS.index("test")) & ~known).sum()):
        notes.append(f"the test items of {gone:,} users are not in the corpus, and nothing takes their place")
    kept = np.flatnonzero(lengths)
    again = sum(len(items) >= FEWEST and items[-1] == items[-2] for items in taken.values())
    if parts is None and again > MANY_AGAIN * len(kept):
        notes.append(
            f"{again:,} of {len(kept):,} users took their last item just before, too: guessing it again is no "
            "recommendation, so check that events do not stand twice"
        )
    if parts is None and len(short := kept[lengths[kept] < FEWEST]):
        notes.append(
            f"{len(short):,} of {len(kept):,} users took fewer than {FEWEST} items: these are for training only "
            f"(the first: {users[short[0]]!r})"
        )
    offsets = np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64)
    parts = leave_one_out(lengths[kept]) if parts is None else parts[known]
    return Sequences(tuple(users[u] for u in kept), rows[known], offsets, parts, tuple(notes))
