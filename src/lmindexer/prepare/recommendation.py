"""What users took becomes sequences, and what they took from becomes documents (section 4.3, appendix A.1)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lmindexer.errors import InputError
from lmindexer.prepare.event_table import EventTable, core, gather, in_time, tied, without_repeats
from lmindexer.prepare.paper import PAIRS, AmazonCounts
from lmindexer.prepare.prepared import Count, counted
from lmindexer.prepare.writing import json_lines, packed
from lmindexer.progress import Progress
from lmindexer.questions.interactions import Log
from lmindexer.questions.sequences import FEWEST, PARTS

SplitBy = Literal["leave-one-out", "time"]
Ties = Literal["shuffled", "file"]
ITEMS = "items.jsonl.gz"


@dataclass(frozen=True)
class History:
    """How a log is filtered, put in order and parted."""

    core: int = 0  # events of every user and item at least
    split_by: SplitBy = "leave-one-out"
    cuts: tuple[float, float] = (0.8, 0.9)  # shares of the events before dev and before test, of --split-by time
    ties: Ties = "shuffled"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.core < 0:
            raise InputError(f"--core is how many events a user or item has at least; it cannot be {self.core}")
        first, second = self.cuts
        if not 0 < first < second < 1:
            raise InputError(f"--cuts are two rising shares between 0 and 1, such as 0.8,0.9, not {first:g},{second:g}")


@dataclass(frozen=True)
class Taken:
    """The events that are kept, in order, and what was written of them."""

    events: EventTable
    file: str
    counts: tuple[Count, ...]
    rules: tuple[str, ...]
    notes: tuple[str, ...]


def write_history(
    log: Log, history: History, folder: Path, progress: Progress, paper: AmazonCounts | None = None
) -> Taken:
    """Filter, order and write what users took. Raises InputError where nothing is left."""
    read = gather(counted(log.events, progress, "reading what users took", "events"))
    distinct = without_repeats(read)
    kept = core(distinct, history.core)
    if not len(kept):
        raise InputError(
            f"of {len(read):,} events none is left: no user and item have {history.core} events each; lower --core"
        )
    notes = list(log.notes)
    if len(distinct) < len(read):
        again = len(read) - len(distinct)
        notes.append(f"{again:,} of {len(read):,} events stand twice (one user, item and time) and are left out")
    events = in_time(kept, history.ties == "shuffled", history.seed)
    write = _write_parted if history.split_by == "time" else _write_whole
    file, parts, rule = write(events, history, folder)
    rules = (_core_rule(history), _ties_rule(history, int(tied(events).sum()), len(events)), rule)
    return Taken(events, file, _counts(events, parts, history, paper), rules, tuple(notes))


def _core_rule(history: History) -> str:
    if history.core < 2:
        return "every user and item is kept"
    return f"{history.core}-core: users and items with fewer than {history.core} events are left out, until none is"


def _ties_rule(history: History, ties: int, events: int) -> str:
    found = f"{ties:,} of {events:,} events have the time of another of their user"
    if history.ties == "file":
        return f"{found}: the order of the file decides, as in published sequences"
    return (
        f"{found}: a hash of user, item and the seed {history.seed} decides, because the order of a file often goes by "
        "the items' ids, which a model could learn"
    )


def _write_whole(events: EventTable, history: History, folder: Path) -> tuple[str, np.ndarray, str]:
    """Whole sequences, which are parted where they are read: the file, (R,) the part of each event, and the rule."""
    from lmindexer.questions.sequences import leave_one_out

    starts, users, items = _by_user(events)
    if any(len(id.split()) != 1 for id in (*events.users, *events.items)):
        name = "sequences.jsonl.gz"
        with json_lines(folder / name) as write:
            for user, taken in zip(users, items, strict=True):
                write({"user": user, "items": taken})
    else:
        name = "sequences.txt.gz"
        with packed(folder / name) as file:
            for user, taken in zip(users, items, strict=True):
                file.write(" ".join((user, *taken)) + "\n")
    rule = (
        f"leave-one-out: of each user with {FEWEST} events or more the last is for the test, the last but one for dev"
    )
    return name, leave_one_out(np.diff(starts)), rule


def _write_parted(events: EventTable, history: History, folder: Path) -> tuple[str, np.ndarray, str]:
    """Sequences cut at two moments that are the same for all users."""
    moments = np.quantile(events.time, history.cuts, method="higher")
    parts = np.searchsorted(moments, events.time, side="right").astype(np.int8)
    if not len(np.unique(parts)) == len(PARTS):
        raise InputError(
            f"too many events have one time for --cuts {history.cuts[0]:g},{history.cuts[1]:g}: some of "
            f"{', '.join(PARTS)} would be empty; give other shares, or --split-by leave-one-out"
        )
    starts, users, items = _by_user(events)
    with json_lines(folder / "sequences.jsonl.gz") as write:
        for user, taken, of_user in zip(users, items, np.split(parts, starts[1:-1]), strict=True):
            held = {name: [id for id, part in zip(taken, of_user.tolist(), strict=True) if part == number]
                    for number, name in enumerate(PARTS)}  # fmt: skip
            write({"user": user} | held)
    rule = f"one moment for all users: dev is what came at {moments[0]:.0f} or later, test at {moments[1]:.0f} or later"
    return "sequences.jsonl.gz", parts, rule


def _by_user(events: EventTable) -> tuple[np.ndarray, list[str], list[list[str]]]:
    """Where the events of each user begin (with the end), the users, and the items of each."""
    starts = np.flatnonzero(np.concatenate([[True], events.user[1:] != events.user[:-1], [True]]))
    users = [events.users[number] for number in events.user[starts[:-1]].tolist()]
    items = [[events.items[n] for n in part.tolist()] for part in np.split(events.item, starts[1:-1])]
    return starts, users, items


def _counts(events: EventTable, parts: np.ndarray, history: History, paper: AmazonCounts | None) -> tuple[Count, ...]:
    starts = _by_user(events)[0]
    training = np.add.reduceat(parts == 0, starts[:-1], dtype=np.int64)
    counts = [
        Count("items", len(events.items_left), paper.items if paper else None),
        Count("users", events.users_left, paper.users if paper else None),
        Count("interactions", len(events)),
        Count("of these in train", int((parts == 0).sum())),
    ]
    if paper is not None and history.split_by == "leave-one-out":
        counts.append(
            Count(f"pairs to learn from with --samples {PAIRS}", int((training > 1).sum()) * PAIRS, paper.pairs)
        )
    held_out = paper.users if paper is not None and history.split_by == "leave-one-out" else None
    counts += [Count(f"{name} items", int((parts == PARTS.index(name)).sum()), held_out) for name in PARTS[1:]]
    return tuple(counts)


@dataclass(frozen=True)
class Catalogue:
    """What was written of the items, and how `learn` reads it."""

    notes: tuple[str, ...]
    keep_empty: bool


def write_items(
    records: Iterable[dict[str, Any]], events: EventTable, texts: Sequence[str], folder: Path, progress: Progress
) -> Catalogue:
    """Write the records, each with an `id`, that users took anything of; of an id that is there twice the first one.

    Items without a record are written with empty `texts`, so that no sequence loses one. Raises InputError where none
    has a record.
    """
    taken = events.items_left
    left = set(taken)
    others = again = empty = 0
    with json_lines(folder / ITEMS) as write:
        for record in counted(iter(records), progress, "reading items", "items"):
            if record["id"] in left:
                left.discard(record["id"])
                empty += not any(record.get(name) for name in texts)
                write(record)
            elif record["id"] in taken:
                again += 1
            else:
                others += 1
        for id in sorted(left):
            write({"id": id} | dict.fromkeys(texts, ""))
    if left == taken:
        raise InputError(
            f"none of {len(taken):,} items that users took is described (the first: {min(left)!r}); check that both "
            "files are of one set, and whole"
        )
    notes = []
    if again:
        notes.append(f"{again:,} items are described twice: the first description is taken")
    if others:
        notes.append(f"{others:,} described items were taken by none of the users that are kept, and are left out")
    if left:
        notes.append(f"{len(left):,} of {len(taken):,} items have no description (the first: {min(left)!r})")
    if empty:
        notes.append(f"{empty:,} of {len(taken):,} items have a description without any text")
    return Catalogue(tuple(notes), bool(left or empty))


def commands(file: str, text: Sequence[str], label: str, keep_empty: bool, name: str) -> tuple[str, ...]:
    """What to type next for a set of items and sequences."""
    flags = (f" --label {label}" if label else "") + (" --keep-empty" if keep_empty else "")
    return (
        f"lmindexer learn DATA/{ITEMS} --id id --text {','.join(text)}{flags} --out runs/{name}",
        f"lmindexer finetune runs/{name} DATA/{file} --out runs/{name}-rec",
        f"lmindexer evaluate runs/{name}-rec --method popular --method generative",
    )
