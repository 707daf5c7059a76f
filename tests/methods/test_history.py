"""What reads histories: untrained it shows the decoder the items themselves, and no state sees what comes later."""

from dataclasses import replace

import pytest
import torch

from lmindexer.config import FinetuneConfig
from lmindexer.methods.generative.history import DECAY, RECENT, HistoryReader, Items
from lmindexer.model.decoder import pool

DIM, N, SIZES = 32, 9, (6, 4)


def reader(sizes: tuple[int, ...] = SIZES, *, shaken: bool = False, **settings: object) -> HistoryReader:
    torch.manual_seed(0)
    of_all = {"task": "recommend", "dim": 8, "max_items": 5, **settings}
    made = HistoryReader(FinetuneConfig(**of_all), DIM, sizes, N).eval()  # type: ignore[arg-type]
    if shaken:  # as if it had learned
        for p in made.parameters():
            p.data += 0.3 * torch.randn_like(p)
    return made


@pytest.fixture
def items() -> Items:
    torch.manual_seed(1)
    paths = torch.stack([torch.randint(0, size, (N,)) for size in SIZES], -1)
    return Items(torch.randn(N, DIM).half(), paths, torch.ones(N, dtype=torch.bool))


def test_untrained_the_decoder_sees_the_texts_and_the_newest_weighs_most(items: Items):
    texts, mask = items.vectors[:3].float()[None], torch.tensor([[True, True, False]])
    memory = reader().memory(torch.randn(1, 3, 8), texts, mask)
    torch.testing.assert_close(memory.states, texts * mask[..., None])
    assert memory.weight.tolist() == [pytest.approx([1, DECAY, 0])]
    expected = (texts[0, 0] + DECAY * texts[0, 1]) / (1 + DECAY)
    torch.testing.assert_close(pool(memory.states, memory.weight)[0], expected)


def test_without_texts_the_decoder_sees_states():
    states, texts, mask = torch.randn(1, 2, 8), torch.randn(1, 2, DIM), torch.ones(1, 2, dtype=torch.bool)
    ids = reader(items="ids")
    torch.testing.assert_close(ids.memory(states, texts, mask).states, ids.widen(states))


def test_an_item_is_its_text_its_codes_and_an_embedding(items: Items):
    learned = reader(shaken=True)
    assert learned.embedding is not None
    whole = learned.catalogue(items)
    unknown = learned.catalogue(replace(items, known=torch.arange(N) > 0))
    torch.testing.assert_close(whole - unknown, learned.embedding.weight * (torch.arange(N) == 0)[:, None])
    other = learned.catalogue(replace(items, paths=(items.paths + 1) % torch.tensor(SIZES)))
    assert not torch.isclose(whole, other).all(1).any()
    assert reader(item_embeddings=False).embedding is None
    ids = reader(shaken=True, items="ids")
    torch.testing.assert_close(ids.catalogue(items), ids.catalogue(replace(items, vectors=items.vectors + 1)))


@torch.no_grad()
def test_a_state_sees_nothing_that_comes_later(items: Items):
    learned, present = reader(shaken=True), torch.ones(1, 5, dtype=torch.bool)
    catalogue = learned.catalogue(items)
    one, other = (learned(catalogue, torch.tensor([rows]), present) for rows in ([1, 2, 3, 4, 5], [1, 2, 3, 0, 8]))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.isclose(one[:, 3:], other[:, 3:]).all(2).any()
    before = learned(catalogue, torch.tensor([[1, 7, 3, 4, 5]]), present)
    assert not torch.isclose(one[:, 1:], before[:, 1:]).all(2).any(), "and all that came before"


@torch.no_grad()
def test_padding_changes_nothing(items: Items):
    learned, rows = reader(shaken=True), torch.tensor([[1, 2, 3, 4], [5, 6, 0, 0]])
    present = torch.tensor([[True] * 4, [True, True, False, False]])
    catalogue = learned.catalogue(items)
    together, alone = learned(catalogue, rows, present), learned(catalogue, rows[1:, :2], present[1:, :2])
    torch.testing.assert_close(together[1:, :2], alone, rtol=1e-4, atol=1e-5)
    memory = learned.memory(together, items.vectors[rows].float(), present)
    assert (memory.weight[~present] == 0).all()


def test_every_part_learns(items: Items):
    learning = reader(shaken=True).train()
    catalogue, rows = learning.catalogue(items), torch.tensor([[1, 2, 3, 4]])
    present = torch.ones(1, 4, dtype=torch.bool)
    states = learning(catalogue, rows, present)
    memory = learning.memory(states[:, -RECENT:], items.vectors[rows[:, -RECENT:]].float(), present)
    ((states * memory.weight[..., None]).square().sum() + memory.states.square().sum()).backward()
    assert [name for name, p in learning.named_parameters() if p.grad is None] == []
