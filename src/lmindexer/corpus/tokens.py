"""Tokens of all documents, flat and memory-mapped; pieces of long ones; batches of documents of similar length."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from lmindexer.corpus.documents import Corpus

POOL = 32  # batches sorted by length together: more saves padding, fewer shuffles better

Rows = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class Tokens:
    """Document n's tokens are `ids[offsets[n]:offsets[n + 1]]`."""

    ids: np.ndarray  # int32, flat; may be a memory map
    offsets: np.ndarray  # (N + 1) int64
    pieces: "Pieces | None" = None  # of which these tokens were kept, where long documents are read in pieces

    @classmethod
    def build(
        cls,
        corpus: Corpus,
        tokenize: Callable[[list[str]], list[list[int]]],
        path: Path | None = None,
        chunk: int = 1024,
    ) -> "Tokens":
        """Tokenise `chunk` texts at a time; with `path` the ids go to that file, not to memory."""
        lengths: list[np.ndarray] = []
        if path is None:
            flat = [_flat(lists) for lists in _tokenized(corpus, tokenize, chunk, lengths)]
            return cls(np.concatenate(flat), _offsets(lengths))
        part = path.with_name(path.name + ".part")  # a killed run leaves no half-written file at `path`
        with part.open("wb") as file:
            for lists in _tokenized(corpus, tokenize, chunk, lengths):
                _flat(lists).tofile(file)
        part.replace(path)
        offsets = _offsets(lengths)
        ids = np.asarray(np.memmap(path, np.int32, mode="r")) if offsets[-1] else np.empty(0, np.int32)
        return cls(ids, offsets)

    @classmethod
    def of(cls, lists: list[list[int]]) -> "Tokens":
        """Of token lists already at hand."""
        return cls(_flat(lists), _offsets([np.fromiter(map(len, lists), np.int64, len(lists))]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def read(self) -> int:
        """How many tokens an encoder reads for these."""
        return len(self.ids) if self.pieces is None else len(self.pieces.kept)

    def length_of(self, rows: Rows) -> np.ndarray:
        rows = np.asarray(rows, dtype=np.int64)
        return self.offsets[rows + 1] - self.offsets[rows]

    @cached_property
    def _longest(self) -> int:
        return int(np.diff(self.offsets).max(initial=0))

    def different(self, rows: Rows, leave_out: Sequence[int] = ()) -> np.ndarray:
        """The tokens (C,) int64 that occur in the rows, ascending, but for some."""
        rows = np.asarray(rows, dtype=np.int64)
        parts = [self.ids[a:b] for a, b in zip(self.offsets[rows], self.offsets[rows + 1], strict=True)]
        return np.setdiff1d(np.concatenate(parts) if parts else [], leave_out).astype(np.int64)

    def padded(self, rows: Rows, pad_id: int, longest: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The rows' tokens side by side: ids (B, L) int64 filled up with `pad_id`, mask (B, L) bool.

        They are as wide as for a row of `longest` tokens, by default the longest of these.

        L is rounded up, at most to the longest row of all: of few widths the kernels that compute with them, which are
        made anew for every shape and kept, take less time and memory.
        """
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.length_of(rows)
        longest = int(lengths.max(initial=0)) if longest is None else longest
        position = np.arange(min(_rounded(longest), self._longest))  # (L)
        mask = position < lengths[:, None]  # (B, L)
        ids = np.full(mask.shape, pad_id, dtype=np.int64)
        ids[mask] = self.ids[(self.offsets[rows][:, None] + position)[mask]]
        return ids, mask


def _rounded(length: int) -> int:
    """Up to a multiple of 4, of lengths beyond 32 of 8."""
    step = 8 if length > 32 else 4
    return -(-length // step) * step


@dataclass(frozen=True)
class Pieces:
    """Documents in pieces that an encoder reads one by one: document n's are rows `first[n]:first[n + 1]`."""

    tokens: Tokens  # a row a piece
    first: np.ndarray  # (N + 1) int64
    kept: np.ndarray  # bool, flat as the tokens: those that stand for their document

    def rows_of(self, documents: Rows) -> np.ndarray:
        """The pieces of these documents, one document after another."""
        return np.concatenate([np.arange(self.first[n], self.first[n + 1]) for n in documents])

    def kept_of(self, rows: Rows) -> np.ndarray:
        """Which tokens of these pieces are kept: bool, flat, one piece after another."""
        offsets = self.tokens.offsets
        return np.concatenate([self.kept[offsets[row] : offsets[row + 1]] for row in rows])


def in_pieces(whole: Tokens, pieces: np.ndarray, lengths: np.ndarray, most: int) -> Tokens:
    """At most `most` tokens of each document of `whole`, evenly spaced, the first among them, and its pieces.

    `pieces` (N) says how many a document has, `lengths` how many tokens each piece of all documents has. A document
    of one piece keeps all its tokens.
    """
    total = np.diff(whole.offsets)
    count = np.where(pieces > 1, np.minimum(total, most), total)
    offsets = _offsets([count])
    place = np.arange(offsets[-1]) - np.repeat(offsets[:-1], count)  # 0 ... count - 1 within each document
    step = place * np.repeat(total, count) // np.repeat(np.maximum(count, 1), count)
    kept = np.zeros(len(whole.ids), dtype=bool)
    kept[np.repeat(whole.offsets[:-1], count) + step] = True
    return Tokens(whole.ids[kept], offsets, Pieces(Tokens(whole.ids, _offsets([lengths])), _offsets([pieces]), kept))


def length_bucketed_batches(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator, max_tokens: int | None = None
) -> list[np.ndarray]:
    """Every row once, in shuffled batches of similar length.

    A batch has at most `batch_size` rows, and with `max_tokens` at most that many tokens, padding
    included (one document longer than that is a batch of its own).
    """
    rows = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(rows), POOL * batch_size):
        pool = rows[start : start + POOL * batch_size]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += _cut(pool, lengths[pool], batch_size, max_tokens)
    return [batches[i] for i in rng.permutation(len(batches))]


def _cut(pool: np.ndarray, lengths: np.ndarray, batch_size: int, max_tokens: int | None) -> list[np.ndarray]:
    """Cut a pool sorted by length, so that a batch's last row is its longest."""
    if max_tokens is None:
        return [pool[start : start + batch_size] for start in range(0, len(pool), batch_size)]
    batches: list[np.ndarray] = []
    start = 0
    while start < len(pool):
        padded = lengths[start : start + batch_size]
        padded = padded * np.arange(1, len(padded) + 1)  # tokens of a batch that ends with this row
        size = max(1, int(np.count_nonzero(padded <= max_tokens)))
        batches.append(pool[start : start + size])
        start += size
    return batches


def _tokenized(
    corpus: Corpus, tokenize: Callable[[list[str]], list[list[int]]], chunk: int, lengths: list[np.ndarray]
) -> Iterator[list[list[int]]]:
    for texts in corpus.text_batches(chunk):
        lists = tokenize(texts)
        if len(lists) != len(texts):
            raise ValueError(f"the tokenizer made {len(lists)} lists of {len(texts)} texts; it must make one each")
        lengths.append(np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))
        yield lists


def _flat(lists: list[list[int]]) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), dtype=np.int32)


def _offsets(lengths: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), *lengths]).cumsum()
