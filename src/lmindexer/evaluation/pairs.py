"""Pairs of documents that share their first codes, drawn for people to judge (appendix A.6, Table 13)."""

import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmindexer.errors import InputError
from lmindexer.files import json_text
from lmindexer.ids.table import IdTable, path_ids

LONGEST = 2000  # characters of a document on a sheet; a cell of Excel ends at 32,767


@dataclass(frozen=True)
class Pair:
    """Two documents that share their first codes in the IDs of one method."""

    number: int  # on the sheet, from 1
    method: str
    doc_ids: tuple[str, str]
    texts: tuple[str, str]  # on one line, cut to LONGEST


@dataclass(frozen=True)
class PairSample:
    """The pairs of all methods in the order of the sheet."""

    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]  # what the user should know: methods with fewer pairs than asked for
    depth: int
    seed: int

    @property
    def digest(self) -> str:
        """Names the sheet: six letters made of the pairs and their methods. No digits, which Excel would change."""
        return pairs_digest(self.seed, self.depth, [(pair.number, pair.method, *pair.doc_ids) for pair in self.pairs])


def sample_pairs(
    tables: Mapping[str, IdTable], text_of: Callable[[str], str], n: int = 20, depth: int = 2, seed: int = 0
) -> PairSample:
    """Draw `n` pairs a method, uniformly from all pairs that share their first `depth` codes, none twice; shuffle all.

    `text_of` gives a document's text by its id, or raises KeyError. A method's draw depends on its name, its
    table and the seed only. Depth 0 draws any two documents. Raises InputError when a method has no such pair.
    """
    if n < 1:
        raise InputError(f"{n} pairs a method cannot be drawn; ask for at least one")
    pairs, notes = [], []
    for method, table in tables.items():
        if not 0 <= depth <= len(table.sizes):
            raise InputError(f"{method} has {len(table.sizes)} learned positions, so none share {depth}; ask for fewer")
        dice = random.Random(f"{seed} {depth} {method}")
        rows, exist = _draw(table.codes[:, :depth], n, dice)
        if not exist:
            raise InputError(
                f"no two documents of {method} share their first {depth} codes; ask for a smaller depth, "
                "or leave this run out"
            )
        if exist < n:
            notes.append(f"{method}: only {exist} of {n} pairs exist that share the first {depth} codes; all are taken")
        for pair in rows:
            first, second = (table.doc_ids[row] for row in dice.sample(pair, 2))  # neither side is the earlier row's
            texts = _text(text_of, first, method), _text(text_of, second, method)
            pairs.append(Pair(0, method, (first, second), texts))
    random.Random(f"{seed} order").shuffle(pairs)
    return PairSample(tuple(replace(pair, number=n) for n, pair in enumerate(pairs, 1)), tuple(notes), depth, seed)


def pairs_digest(seed: int, depth: int, pairs: Sequence[tuple[object, ...]]) -> str:
    """Six letters that stand for the pairs of a sheet: (number, method, id, id) of every pair."""
    number = int.from_bytes(hashlib.sha256(json_text([seed, depth, pairs]).encode()).digest())
    return "".join(chr(ord("a") + number // 26**place % 26) for place in range(6))


def _draw(prefixes: np.ndarray, n: int, dice: random.Random) -> tuple[list[list[int]], int]:
    """Draw at most `n` distinct pairs of rows that share their prefix (N, depth), and count how many exist.

    The pairs are numbered, bucket after bucket, and numbers are drawn: exact, and no list of all pairs.
    """
    paths = path_ids(prefixes)
    order, sizes = np.argsort(paths, kind="stable"), np.bincount(paths)
    starts, ends = np.cumsum(sizes) - sizes, np.cumsum(sizes * (sizes - 1) // 2)
    exist = int(ends[-1]) if len(ends) else 0
    rows = []
    for number in dice.sample(range(exist), min(n, exist)):
        bucket = int(np.searchsorted(ends, number, side="right"))
        inside = number - (int(ends[bucket - 1]) if bucket else 0)
        later = (1 + math.isqrt(1 + 8 * inside)) // 2  # the member with `later` members before it: (0,1) (0,2) (1,2) ..
        earlier = inside - later * (later - 1) // 2
        rows.append(order[[starts[bucket] + earlier, starts[bucket] + later]].tolist())
    return rows, exist


def _text(text_of: Callable[[str], str], doc_id: str, method: str) -> str:
    try:
        text = " ".join(text_of(doc_id).split())
    except KeyError:
        raise InputError(f"there is no text for {doc_id!r} of {method}; compare runs of the same documents") from None
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
