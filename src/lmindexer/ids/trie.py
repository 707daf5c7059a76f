"""All paths that documents have, as a tree in flat arrays: what a constrained search walks down.

A node is an int, counted from 0 on its level in the order of the paths. The children of a node stand side
by side on the next level, so a child's place in that level's arrays is its node; no pointers are kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Level:
    """The nodes of one position: `code[start[m] : start[m + 1]]` are the codes that may follow node m above."""

    start: Tensor  # (nodes above + 1,) int32
    code: Tensor  # (nodes,) int16 or int32, ascending within a node above
    widest: int  # children of the node above that has most

    @classmethod
    def of(cls, start: Tensor, code: Tensor) -> "Level":
        return cls(start, code, int(start.diff().max()) if len(start) > 1 else 0)


@dataclass(frozen=True, eq=False)
class Children:
    """The children of M nodes in W slots each; where a slot is empty (`exists` is False) it holds node 0 and code 0."""

    nodes: Tensor  # (..., W) int64
    codes: Tensor  # (..., W) int64
    exists: Tensor  # (..., W) bool


@dataclass(frozen=True, eq=False)
class Trie:
    """The paths (T codes) of N documents. `rows[leaf_start[m] : leaf_start[m + 1]]` share the path of leaf m."""

    sizes: tuple[int, ...]  # T, the codebook size of each position
    levels: tuple[Level, ...]  # T
    leaf_start: Tensor  # (leaves + 1,) int32
    rows: Tensor  # (N,) int32, of ascending rank within a leaf
    ranks: Tensor  # (N,) int32, of each of `rows`: of equal scores the lower rank comes first
    novelty: float = 0.0  # nats, see `with_new`
    known: tuple[Tensor, ...] = ()  # T + 1, from the root to the leaves, int32: documents below that are not new
    whole: "Trie | None" = None  # of a part of a trie with new documents: that trie
    places: tuple[Tensor, ...] = ()  # T + 1, as `known`: which node of the whole each node is

    @classmethod
    def of(cls, codes: np.ndarray, sizes: tuple[int, ...] | None = None, ranks: np.ndarray | None = None) -> "Trie":
        """The trie of documents with paths `codes` (N, T), row n the document n; sizes by default as the codes need.

        `ranks` (N,) are N different numbers: of documents with equal scores the lower comes first; by default the
        lower row. A path has T codes: one that ends early goes on with code 0. Raises ValueError for a code outside
        its size.
        """
        N, T = codes.shape
        if T == 0:
            raise ValueError("documents without any code have no path to search; learn a position first")
        highest = codes.max(0).tolist() if N else [-1] * T
        sizes = tuple(code + 1 for code in highest) if sizes is None else tuple(sizes)
        lowest = int(codes.min(initial=0))
        if len(sizes) != T or lowest < 0 or any(code >= size for code, size in zip(highest, sizes, strict=True)):
            raise ValueError(f"codes from {lowest} up to {highest} do not fit codebooks of sizes {sizes}")
        columns = [column.astype(_narrow(size), copy=False) for column, size in zip(codes.T, sizes, strict=True)]
        ranks = np.arange(N, dtype=np.int32) if ranks is None else ranks.astype(np.int32, copy=False)
        order = np.lexsort([ranks, *columns[::-1]])  # by path, documents of one path by rank
        first = np.zeros(N, dtype=bool)  # of the documents of its node, in that order
        first[:1] = True
        above, levels = np.zeros(1, dtype=np.int64), list[Level]()  # where each node above begins, the root first
        for column in columns:
            column = column[order]
            first[1:] |= column[1:] != column[:-1]
            here = np.flatnonzero(first)
            start = np.append(np.searchsorted(here, above), len(here)).astype(np.int32)
            levels.append(Level.of(torch.from_numpy(start), torch.from_numpy(column[here])))
            above = here
        leaf_start, rows = np.append(above, N).astype(np.int32), order.astype(np.int32)
        leaves, documents = torch.from_numpy(leaf_start), torch.from_numpy(rows)
        return cls(sizes, tuple(levels), leaves, documents, torch.from_numpy(ranks[order]))

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        """Memory of all arrays."""
        arrays = [self.leaf_start, self.rows, self.ranks, *self.known]
        arrays += [array for level in self.levels for array in (level.start, level.code)]
        return sum(array.nbytes for array in arrays)

    def nodes(self, level: int) -> int:
        """How many nodes a level has; level 0 holds the first codes, the root stands above it."""
        return len(self.levels[level].code)

    def to(self, device: torch.device | str) -> "Trie":
        levels = tuple(
            replace(level, start=level.start.to(device), code=level.code.to(device)) for level in self.levels
        )
        leaf_start, rows, ranks = (array.to(device) for array in (self.leaf_start, self.rows, self.ranks))
        known = tuple(count.to(device) for count in self.known)
        places = tuple(place.to(device) for place in self.places)
        whole = self.whole.to(device) if self.whole is not None else None
        return Trie(self.sizes, levels, leaf_start, rows, ranks, self.novelty, known, whole, places)

    def with_new(self, rows: Sequence[int] | np.ndarray, novelty: float) -> "Trie":
        """The same trie, in which a search favours the documents `rows`, which came after training, by `novelty` nats.

        `model.steps` says how; what it needs is how many of the other documents are below each node. Raises ValueError
        where there is no other.
        """
        old = ~torch.isin(self.rows, torch.as_tensor(np.asarray(rows, dtype=np.int64), device=self.rows.device))
        if not old.any():
            raise ValueError("all documents are new; there is none to favour them before")
        known = [old.int()]
        for start in (self.leaf_start, *(level.start for level in reversed(self.levels))):
            known.insert(0, _counts(known[0], start).int())
        return replace(self, novelty=novelty, known=tuple(known[:-1]))

    def subset(self, rows: np.ndarray | Tensor) -> "Trie":
        """The trie of these documents alone, which keep their row numbers, and their scores.

        Raises ValueError for an unknown row.
        """
        wanted = torch.as_tensor(rows, device=self.rows.device).unique()
        kept = torch.isin(self.rows, wanted)  # (N,)
        if int(kept.sum()) < len(wanted):
            unknown = wanted[~torch.isin(wanted, self.rows)]
            raise ValueError(f"the trie has no document of row {int(unknown[0])}, nor of {len(unknown) - 1} more")
        below, codes = kept, [level.code for level in self.levels]
        starts = [*(level.start for level in self.levels), self.leaf_start]  # from the root down to the documents
        known = list(self.known)  # of all documents: a score does not change with who is searched
        places = list(self.places) or [torch.arange(len(count), device=count.device) for count in known]
        for depth in range(len(codes), -1, -1):
            count = _counts(below, starts[depth])  # of what is kept below each node
            below = count > 0 if depth else torch.ones_like(count, dtype=torch.bool)  # the root stays
            starts[depth] = _starts(count[below])
            if known:
                known[depth], places[depth] = known[depth][below], places[depth][below]
            if depth:
                codes[depth - 1] = codes[depth - 1][below]
        levels = tuple(Level.of(start, code) for start, code in zip(starts, codes, strict=False))
        whole = (self.whole or self) if known else None
        documents = self.rows[kept], self.ranks[kept]
        return Trie(self.sizes, levels, starts[-1], *documents, self.novelty, tuple(known), whole, tuple(places))

    def children(self, nodes: Tensor, level: int) -> Children:
        """What stands on `level` below nodes (...) of the level above; a gather, without a look at any value."""
        below = self.levels[level]
        slots = torch.arange(below.widest, device=nodes.device)
        found = self.child(nodes[..., None], slots, level)  # (..., W)
        exists = found < below.start[nodes + 1][..., None]
        found = found.where(exists, 0)
        return Children(found, self.codes(found, level).where(exists, 0), exists)

    def child(self, nodes: Tensor, slots: Tensor, level: int) -> Tensor:
        """The child in a slot of nodes of the level above; the slot is taken to be there."""
        return self.levels[level].start[nodes].long() + slots

    def codes(self, nodes: Tensor, level: int) -> Tensor:
        """The codes at nodes of `level`, as int64."""
        return self.levels[level].code[nodes].long()

    def nodes_above(self, rows: Tensor) -> list[Tensor]:
        """The nodes (...) of each level, the first code's first, below which documents `rows` (...) stand."""
        place = torch.empty(int(self.rows.max()) + 1, dtype=torch.int32, device=self.rows.device)
        place[self.rows.long()] = torch.arange(len(self.rows), dtype=torch.int32, device=self.rows.device)
        below, nodes = place[rows], list[Tensor]()
        for start in (self.leaf_start, *(level.start for level in reversed(self.levels[1:]))):
            below = torch.searchsorted(start, below, right=True, out_int32=True) - 1
            nodes.insert(0, below.long())
        return nodes

    def goes_on(self, nodes: Tensor, level: int) -> Tensor:
        """Which codes lead from nodes (...) of the level above on to documents that are not new: (..., K) bool.

        Of a part of a trie, to those of the whole.
        """
        whole, nodes = (self, nodes) if self.whole is None else (self.whole, self.places[level][nodes])
        children = whole.children(nodes, level)
        exists = children.exists & (whole.known[level + 1][children.nodes] > 0)
        return self._mask(children.codes, exists, level)

    def allowed(self, nodes: Tensor, level: int) -> Tensor:
        """Which codes may follow nodes (...) of the level above: (..., K) bool."""
        children = self.children(nodes, level)
        return self._mask(children.codes, children.exists, level)

    def _mask(self, codes: Tensor, exists: Tensor, level: int) -> Tensor:
        """Slots of codes (..., W) as which of all codes are there (..., K)."""
        spare = codes.where(exists, self.sizes[level])  # empty slots point behind the last code
        mask = torch.zeros(*codes.shape[:-1], self.sizes[level] + 1, dtype=torch.bool, device=codes.device)
        return mask.scatter_(-1, spare, True)[..., :-1]

    def leaf_ranks(self, leaves: Tensor) -> Tensor:
        """The lowest rank among the documents of each leaf (...)."""
        return self.ranks[self.leaf_start[leaves].long()]

    def leaf_sizes(self, leaves: Tensor) -> Tensor:
        """How many documents share the path of each leaf (...)."""
        return (self.leaf_start[leaves + 1] - self.leaf_start[leaves]).long()


def _narrow(size: int) -> type[np.signedinteger]:
    return np.int16 if size <= np.iinfo(np.int16).max else np.int32


def _counts(kept: Tensor, start: Tensor) -> Tensor:
    """How many of each node's children (`start`: (nodes + 1,)) are kept."""
    before = _starts(kept)
    return before[start[1:].long()] - before[start[:-1].long()]


def _starts(counts: Tensor) -> Tensor:
    """(n,) counts -> (n + 1,) int32 running sums from 0."""
    starts = torch.zeros(len(counts) + 1, dtype=torch.int32, device=counts.device)
    starts[1:] = counts.cumsum(0)
    return starts
