"""Histories read as one vector an item: untrained they are the items themselves, and padding is never seen."""

import pytest
import torch

from lmindexer.model.decoder import heads_of, pool
from lmindexer.model.history import DECAY, HistoryReader

DIM, ITEMS, SIZES = 32, 5, (6, 4)


def reader(sizes: tuple[int, ...] = SIZES, *, text: bool = True, seed: int | None = None) -> HistoryReader:
    torch.manual_seed(0)
    made = HistoryReader(DIM, sizes, ITEMS, 2, 0.1, text).eval()
    if seed is not None:  # as if it had learned
        torch.manual_seed(seed)
        for p in made.parameters():
            p.data += 0.3 * torch.randn_like(p)
    return made


def history(*lengths: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(len(lengths))
    B, M = len(lengths), max(lengths)
    paths = torch.stack([torch.randint(0, size, (B, M)) for size in SIZES], -1)
    return torch.randn(B, M, DIM), paths, torch.arange(M) < torch.tensor(lengths)[:, None]


def test_untrained_and_without_ids_the_states_are_the_items():
    vectors, paths, mask = history(4, 4)
    memory = reader(())(vectors, paths, mask)
    torch.testing.assert_close(memory.states, vectors)
    assert torch.equal(memory.mask, mask)


def test_untrained_the_newest_item_weighs_most():
    vectors, paths, mask = history(3, 2)
    memory = reader(())(vectors, paths, mask)
    assert memory.weight[1].tolist() == pytest.approx([1, DECAY, 0])
    expected = (vectors[0, 0] + DECAY * vectors[0, 1] + DECAY**2 * vectors[0, 2]) / (1 + DECAY + DECAY**2)
    torch.testing.assert_close(pool(memory.states, memory.weight)[0], expected)


def test_ids_are_a_small_correction_of_texts_and_all_there_is_without_them():
    vectors, paths, mask = history(4)
    both = reader()
    tables = both.codes[0].weight[paths[..., 0]] + both.codes[1].weight[paths[..., 1]]
    torch.testing.assert_close(both(vectors, paths, mask).states, vectors + tables)
    assert tables.abs().max() < 0.2
    ids = reader(text=False, seed=1)
    torch.testing.assert_close(ids(vectors, paths, mask).states, ids(vectors + 1, paths, mask).states)
    assert not torch.allclose(ids(vectors, paths, mask).states, ids(vectors, paths.flip(1), mask).states)


@pytest.mark.parametrize("sizes", [(), SIZES])
def test_padding_changes_nothing(sizes: tuple[int, ...]):
    learned = reader(sizes, seed=2)
    vectors, paths, mask = history(5, 2, 1)
    with torch.no_grad():
        together = learned(vectors, paths, mask)
        for b, n in enumerate((5, 2, 1)):
            alone = learned(vectors[b : b + 1, :n], paths[b : b + 1, :n], mask[b : b + 1, :n])
            torch.testing.assert_close(together.states[b, :n], alone.states[0], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(together.weight[b, :n], alone.weight[0])
    assert (together.weight[~mask] == 0).all()


def test_every_part_learns():
    learning = reader().train()
    memory = learning(*history(5, 3))
    (memory.states.square().sum() + memory.weight.sum()).backward()
    unmoved = [name for name, p in learning.named_parameters() if p.grad is None]
    assert unmoved == []


def test_it_says_how_many_items_it_reads():
    assert reader().items == ITEMS


@pytest.mark.parametrize(("dim", "heads"), [(8, 1), (64, 1), (384, 6), (200, 2), (1000, 10), (130, 2), (67, 1)])
def test_heads_always_divide_the_width(dim: int, heads: int):
    assert heads_of(dim) == heads
    HistoryReader(dim, (), 3, 1, 0.0)
