"""Examples of histories as memories: the newest items, whatever stands before them, in any company."""

import numpy as np
import pytest
import torch

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.tokens import Tokens
from lmindexer.learn.memories import Memories
from lmindexer.methods.generative.histories import HistoryMemories, item_vectors
from lmindexer.methods.generative.history import HistoryReader, Items
from lmindexer.model.backbone import load_backbone
from lmindexer.model.decoder import pool

N, DIM, MOST = 12, 32, 3


@pytest.fixture(scope="module")
def items() -> Items:
    torch.manual_seed(0)
    return Items(torch.randn(N, DIM).half(), torch.randint(0, 4, (N, 2)), torch.ones(N, dtype=torch.bool))


def untrained() -> HistoryReader:
    return HistoryReader(FinetuneConfig(task="recommend", dim=8, max_items=MOST), DIM, (4, 4), N).eval()


@pytest.fixture(scope="module")
def reader() -> HistoryReader:
    torch.manual_seed(1)
    made = untrained()
    for p in made.parameters():
        p.data += 0.2 * torch.randn_like(p)
    return made


@torch.no_grad()
def pooled(reader: HistoryReader, items: Items, *histories: list[int]) -> torch.Tensor:
    memories = HistoryMemories.of(reader, items, histories)
    memory = memories.memory(np.arange(len(memories)))
    return pool(memory.states, memory.weight)


def test_items_stand_newest_first(items: Items):
    memory = HistoryMemories.of(untrained(), items, [[4, 7], [1, 2, 3]]).memory(np.array([1, 0]))
    torch.testing.assert_close(memory.states[0, :3], items.vectors[[3, 2, 1]].float())
    torch.testing.assert_close(memory.states[1, :2], items.vectors[[7, 4]].float())
    assert memory.mask.tolist() == [[True, True, True, False], [True, True, False, False]]


def test_only_the_newest_items_matter(reader: HistoryReader, items: Items):
    short, long = pooled(reader, items, [5, 6, 7]), pooled(reader, items, [9, 1, 1, 4, 5, 6, 7])
    assert torch.equal(short, long)
    assert not torch.allclose(short, pooled(reader, items, [5, 7, 6]), atol=1e-4), "their order does"
    assert not torch.allclose(short, pooled(reader, items, [4, 6, 7]), atol=1e-4), "and so does the oldest of them"


def test_company_changes_nothing(reader: HistoryReader, items: Items):
    histories = [[1], [2, 3], [4, 5, 6], [7, 8, 9, 10, 11], [0, 0]]
    together = pooled(reader, items, *histories)
    alone = torch.cat([pooled(reader, items, each) for each in histories])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_examples_of_one_user_are_read_in_one_pass(
    reader: HistoryReader, items: Items, monkeypatch: pytest.MonkeyPatch
):
    rows = np.array([3, 1, 4, 1, 5, 9, 2], np.int32)
    start, end = np.array([0, 4, 0, 0]), np.array([1, 7, 2, 3])
    memories, read = HistoryMemories(reader, items, rows, start, end), list[list[int]]()
    forward = HistoryReader.forward

    def counted(self: HistoryReader, catalogue: torch.Tensor, rows: torch.Tensor, present: torch.Tensor) -> object:
        read.extend(rows.tolist())
        return forward(self, catalogue, rows, present)

    monkeypatch.setattr(HistoryReader, "forward", counted)
    states = memories.states(np.arange(4))
    assert sorted(read) == [[3, 1, 4], [5, 9, 2]]
    assert states.rows[states.place].tolist() == [3, 2, 1, 4]
    assert states.depth.tolist() == [0, 2, 1, 2]
    texts = memories.memory_of(states).mask.sum(1)
    assert texts.tolist() == memories.lengths.tolist() == [1, 3, 2, 3]
    whole = HistoryMemories.of(reader, items, [[3, 1, 4]]).states(np.array([0]))
    torch.testing.assert_close(states.newest[3], whole.newest[0], rtol=1e-4, atol=1e-5)


def test_batches_hold_each_example_once(reader: HistoryReader, items: Items):
    memories = HistoryMemories.of(reader, items, [[1, 2], [1], [2, 3, 4], [5]])
    parts = list(memories.batches(3))
    assert [memories.lengths[part].tolist() for part in parts] == [[1, 1, 2], [3]]
    assert sorted(np.concatenate(parts).tolist()) == [0, 1, 2, 3]


def test_an_items_vector_is_what_the_decoder_pools(checkpoints, corpus):
    backbone = load_backbone(str(checkpoints["bert"])).eval()
    backbone.token_weight.copy_(torch.rand(len(backbone.token_weight)) + 0.1)
    memories = Memories(backbone, Tokens.build(corpus, lambda texts: backbone.tokenize(texts, 64)), bf16=False)
    vectors = item_vectors(memories)
    for row in (0, 17, 79):
        with torch.no_grad():
            memory = memories.memory(np.array([row]))
        torch.testing.assert_close(vectors[row].float(), pool(memory.states, memory.weight)[0], rtol=2e-3, atol=2e-3)
