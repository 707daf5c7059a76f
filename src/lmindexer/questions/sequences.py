"""Who took what, in order, and how it is parted to train on and to judge by: leave-one-out (section 4.3).

Of a user with three items or more the last is for the test, the last but one for dev, the rest for training. They
are parted once: a run keeps the parts of each user, so that where items go later no other takes their place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lmindexer.errors import InputError
from lmindexer.questions.questions import Questions

PARTS = ("train", "dev", "test")  # of each user, in this order
HELD_OUT = ("test", "dev")  # of these parts, an item each
FEWEST = 3  # items of a user who is evaluated
LAST_TARGETS = 3  # the paper's authors draw among so many


@dataclass(frozen=True, eq=False)
class Sequences:
    """What U users took, oldest first: `rows[offsets[u]:offsets[u + 1]]` are rows of the corpus, at least one."""

    users: tuple[str, ...]  # U
    rows: np.ndarray  # (R,) int32, of all users
    offsets: np.ndarray  # (U + 1,) int64
    parts: np.ndarray  # (R,) int8: in which of PARTS each row is; rises within a user
    notes: tuple[str, ...] = ()  # what was left out

    def __post_init__(self) -> None:
        whole = self.offsets.shape == (len(self.users) + 1,) and self.offsets[0] == 0
        if not whole or self.offsets[-1] != len(self.rows) or (self.lengths < 1).any():
            raise ValueError(f"offsets must part {len(self.rows)} rows among {len(self.users)} users, to each some")
        if self.parts.shape != self.rows.shape:
            raise ValueError(f"each of {len(self.rows)} rows must be in a part, not {len(self.parts)} of them")

    @property
    def lengths(self) -> np.ndarray:
        """How many items each user took, (U,)."""
        return np.diff(self.offsets)

    @property
    def training_ends(self) -> np.ndarray:
        """(U,) where in `rows` each user's training part ends."""
        return self.offsets[:-1] + np.add.reduceat(self.parts == 0, self.offsets[:-1], dtype=np.int64)


def leave_one_out(lengths: np.ndarray) -> np.ndarray:
    """The parts of users who took so many items (U,), one user after another; fewer than 3 are all for training."""
    ends = np.cumsum(lengths, dtype=np.int64)
    parts = np.zeros(lengths.sum(), np.int8)
    parts[ends[lengths >= FEWEST] - 2] = PARTS.index("dev")
    parts[ends[lengths >= FEWEST] - 1] = PARTS.index("test")
    return parts


def items_and_parts(record: Mapping[str, Any]) -> tuple[list[Any], list[int]]:
    """What a record {"train": [...], "dev": [...], "test": [...]} holds in all, and in which of PARTS each item is.

    A part may be missing, and a single item of dev and test may stand without brackets. Raises TypeError for another
    value.
    """
    items: list[Any] = []
    parts: list[int] = []
    for number, part in enumerate(PARTS):
        held = record.get(part, [])
        held = [held] if part in HELD_OUT and isinstance(held, str) else held
        if not isinstance(held, list):
            raise TypeError(f"{part!r} is no list")
        items += held
        parts += [number] * len(held)
    return items, parts


@dataclass(frozen=True, eq=False)
class Examples:
    """E times a history and what came next: sequence rows `start[e]:end[e]` (oldest first), then `target[e]`."""

    sequences: Sequences
    user: np.ndarray  # (E,)
    start: np.ndarray  # (E,) in `sequences.rows`, as is `end`
    end: np.ndarray  # (E,)
    target: np.ndarray  # (E,) rows of the corpus

    def __len__(self) -> int:
        return len(self.target)

    def history(self, e: int) -> np.ndarray:
        """Rows of the corpus, oldest first."""
        return self.sequences.rows[self.start[e] : self.end[e]]

    def select(self, places: np.ndarray) -> "Examples":
        """Some of them, in this order."""
        return Examples(self.sequences, *(x[places] for x in (self.user, self.start, self.end, self.target)))


def training_examples(sequences: Sequences, samples: int = 0, seed: int = 0) -> Examples:
    """Every item of a training part but the first, after all before it; in the order of users and items.

    `samples` > 0 is what the paper's authors do: so many pairs a user, drawn with replacement among the at most
    three last of these. By 5 the 22,363 users of Beauty become the paper's 111,815 pairs.
    """
    if samples < 0:
        raise InputError(f"samples is how many pairs to draw a user; it must be 0 (all pairs) or more, not {samples}")
    starts, ends = sequences.offsets[:-1], sequences.training_ends
    targets = np.maximum(ends - starts - 1, 0)  # (U,) how many a user has
    if samples:
        users = np.flatnonzero(targets)
        last = np.minimum(targets[users], LAST_TARGETS)[:, None]
        back = np.random.default_rng(seed).integers(1, last + 1, size=(len(users), samples))
        return _examples(sequences, np.repeat(users, samples), (ends[users, None] - back).reshape(-1))
    users = np.repeat(np.arange(len(targets)), targets)
    within = np.arange(len(users)) - np.repeat(np.cumsum(targets) - targets, targets)  # 0, 1, 2, ... of each user
    return _examples(sequences, users, starts[users] + 1 + within)


def held_out(sequences: Sequences, split: Literal["dev", "test"]) -> Examples:
    """The item of each user in this part, after all before it: in the test that is the dev item, too.

    A user of whom nothing is left before it is not asked.
    """
    positions = np.flatnonzero(sequences.parts == PARTS.index(split))
    users = np.searchsorted(sequences.offsets, positions, side="right") - 1
    has_history = positions > sequences.offsets[users]
    return _examples(sequences, users[has_history], positions[has_history])


def next_items(examples: Examples, doc_ids: Sequence[str]) -> Questions:
    """What is asked of a recommender: each history, and the one item that came next.

    Where users have several examples, their ids are numbered.
    """
    sequences = examples.sequences
    histories = tuple([doc_ids[row] for row in examples.history(e).tolist()] for e in range(len(examples)))
    users = [sequences.users[u] for u in examples.user.tolist()]
    if len(set(users)) < len(users):
        users = [f"{user}/{e}" for e, user in enumerate(users)]
    new = ~seen_in_training(sequences, len(doc_ids))[examples.target]
    relevant = tuple({doc_ids[row]: 1.0} for row in examples.target.tolist())
    return Questions(histories, relevant, tuple(users), sequences.notes, unseen=tuple(np.flatnonzero(new).tolist()))


def asked_of(sequences: Sequences, split: str, doc_ids: Sequence[str]) -> Questions:
    """The histories of a split, "dev" or "test", and what came next. Raises InputError for another split."""
    if split not in HELD_OUT:
        raise InputError(f"the splits of histories are {' and '.join(HELD_OUT)}, not {split!r}")
    return next_items(held_out(sequences, "test" if split == "test" else "dev"), doc_ids)


def training_counts(sequences: Sequences, n_documents: int) -> np.ndarray:
    """How often each document is in a training part, (N,) ints."""
    return np.bincount(sequences.rows[sequences.parts == 0], minlength=n_documents)


def seen_in_training(sequences: Sequences, n_documents: int) -> np.ndarray:
    """(N,) whether a document is in any user's training part."""
    return training_counts(sequences, n_documents) > 0


def _examples(sequences: Sequences, user: np.ndarray, position: np.ndarray) -> Examples:
    """Those whose targets stand at these positions of `sequences.rows`."""
    return Examples(sequences, user, sequences.offsets[user], position, sequences.rows[position])
