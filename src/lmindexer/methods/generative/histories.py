"""Histories of users, read in whole sequences: as states, and as a decoder's memories with the face of `Memories`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmindexer.learn.memories import Memories
from lmindexer.methods.generative.history import RECENT, HistoryReader, Items
from lmindexer.model.backbone import Memory
from lmindexer.model.decoder import pool

TOGETHER = 128  # sequences of like length that are read together


@dataclass(frozen=True, eq=False)
class States:
    """What was read for B examples, in one flat list of all items of their users."""

    flat: Tensor  # (F, d) the state after each item
    rows: Tensor  # (F,) int64, which item it is
    place: Tensor  # (B,) int64, where in the list each example's newest item stands
    depth: Tensor  # (B,) int64, how many items of its user stand before that
    catalogue: Tensor  # (N, d)

    @property
    def newest(self) -> Tensor:
        """The states (B, d) after the whole histories."""
        return self.flat[self.place]

    def select(self, some: Tensor) -> "States":
        """Those of some of the examples."""
        return States(self.flat, self.rows, self.place[some], self.depth[some], self.catalogue)


class HistoryMemories:
    """Example e is the items `rows[start[e]:end[e]]`, oldest first: the newest of them, as many as are read at most.

    Examples that begin at the same place are of one user, and read in one pass.
    """

    def __init__(
        self,
        reader: HistoryReader,
        items: Items,
        rows: np.ndarray,
        start: np.ndarray,
        end: np.ndarray,
        catalogue: Tensor | None = None,
    ) -> None:
        """`catalogue` (N, d) are the vectors of the items, where they do not learn."""
        self.catalogue = catalogue
        self.reader, self.items, self.rows = reader, items, rows
        self.start, self.end = start, end
        self.lengths = np.minimum(end - start, reader.most)  # (E,)

    @classmethod
    def of(
        cls,
        reader: HistoryReader,
        items: Items,
        histories: Sequence[Sequence[int]],
        catalogue: Tensor | None = None,
    ) -> "HistoryMemories":
        """Of lists of rows, oldest first."""
        offsets = np.cumsum([0, *map(len, histories)])
        rows = np.fromiter((row for history in histories for row in history), np.int64, offsets[-1])
        return cls(reader, items, rows, offsets[:-1], offsets[1:], catalogue)

    def __len__(self) -> int:
        return len(self.lengths)

    def states(self, examples: np.ndarray) -> States:
        """What is read for these examples; none may end more than `reader.most` items before another of its user."""
        device = self.items.paths.device
        starts, user = np.unique(self.start[examples], return_inverse=True)
        ends = np.zeros_like(starts)
        np.maximum.at(ends, user, self.end[examples])
        begin = np.maximum(starts, ends - self.reader.most)
        by_length = np.argsort(ends - begin, kind="stable")
        catalogue = self.reader.catalogue(self.items) if self.catalogue is None else self.catalogue
        flat, flat_rows, offsets, at = list[Tensor](), list[Tensor](), np.zeros_like(starts), 0
        for first in range(0, len(by_length), TOGETHER):
            users = by_length[first : first + TOGETHER]
            L = int((ends - begin)[users].max())
            places = begin[users, None] + np.arange(L)  # (b, L)
            present = places < ends[users, None]
            rows = torch.from_numpy(self.rows[np.where(present, places, 0)]).long().to(device)
            flat.append(self.reader(catalogue, rows, torch.from_numpy(present).to(device)).flatten(0, 1))
            flat_rows.append(rows.flatten())
            offsets[users] = at + L * np.arange(len(users))
            at += L * len(users)
        depth = self.end[examples] - 1 - begin[user]
        place, within = (torch.from_numpy(x).to(device) for x in (offsets[user] + depth, depth))
        return States(torch.cat(flat), torch.cat(flat_rows), place, within, catalogue)

    def memory_of(self, states: States) -> Memory:
        """The memory of examples that were read."""
        back = torch.arange(RECENT, device=states.place.device)  # 0: the newest item
        mask = back <= states.depth[:, None]  # (B, RECENT)
        place = (states.place[:, None] - back).where(mask, 0)
        texts = self.items.vectors[states.rows[place]].float()
        return self.reader.memory(states.flat[place], texts, mask)

    def memory(self, rows: np.ndarray) -> Memory:
        """The memory of these examples."""
        return self.memory_of(self.states(rows))

    def batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """All examples, those of similar length together: the order for a pass without learning."""
        order = np.argsort(self.lengths, kind="stable")
        for at in range(0, len(order), batch_size):
            yield order[at : at + batch_size]


@torch.no_grad()
def item_vectors(memories: Memories) -> Tensor:
    """One vector a document (N, D), pooled as the decoder pools a document, in half precision on the device."""
    memories.backbone.eval()
    vectors = torch.empty(len(memories), memories.backbone.dim, dtype=torch.float16, device=memories.device)
    for rows in memories.batches(128):
        memory = memories.memory(rows)
        vectors[torch.from_numpy(rows).to(vectors.device)] = pool(memory.states, memory.weight).half()
    return vectors
