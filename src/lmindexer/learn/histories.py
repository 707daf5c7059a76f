"""Histories of users as a decoder's memories, with the face of `Memories`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lmindexer import parallel
from lmindexer.learn.memories import Memories
from lmindexer.model.backbone import Memory
from lmindexer.model.decoder import pool
from lmindexer.model.history import HistoryReader


@dataclass(frozen=True, eq=False)
class Items:
    """What can be read of N documents as items of a history, on the model's device."""

    vectors: Tensor  # (N, D) of their texts, half precision
    paths: Tensor  # (N, T + 1) int64, their IDs


class HistoryMemories:
    """Example e is read as the items `rows[start[e]:end[e]]`, oldest first: the newest of them, as many as fit."""

    def __init__(
        self, reader: HistoryReader, items: Items, rows: np.ndarray, start: np.ndarray, end: np.ndarray
    ) -> None:
        self.reader, self.items = reader, items
        self.rows, self.end = torch.from_numpy(rows).long().to(items.vectors.device), end
        self.lengths = np.minimum(end - start, reader.items)  # (E,)

    @classmethod
    def of(cls, reader: HistoryReader, items: Items, histories: Sequence[Sequence[int]]) -> "HistoryMemories":
        """Of lists of rows, oldest first."""
        offsets = np.cumsum([0, *map(len, histories)])
        rows = np.fromiter((row for history in histories for row in history), np.int64, offsets[-1])
        return cls(reader, items, rows, offsets[:-1], offsets[1:])

    def __len__(self) -> int:
        return len(self.lengths)

    def memory(self, rows: np.ndarray) -> Memory:
        """The memory of these examples."""
        lengths, device = torch.from_numpy(self.lengths[rows]), self.rows.device
        back = torch.arange(parallel.widest(int(lengths.max())))  # 0: the newest item
        mask = (back < lengths[:, None]).to(device)  # (B, M)
        place = (torch.from_numpy(self.end[rows])[:, None] - 1 - back).to(device)
        items = self.rows[place.where(mask, 0)]
        return self.reader(self.items.vectors[items].float(), self.items.paths[items], mask)

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
