"""Batches for Eq. 9: every document once, and beside others of its path wherever there are others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmindexer.ids.table import path_ids
from lmindexer.learn.batches import MATES, prefix_batches


def corpus_of_codes(N: int, K: int, t: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, K, (N, t)), rng.integers(1, 100, N)


def share_with_a_mate(groups: list[np.ndarray]) -> float:
    """The share of documents that have another of their path in the same batch."""
    mates = [np.isin(group, [g for g, n in zip(*np.unique(group, return_counts=True), strict=True) if n > 1])
             for group in groups]  # fmt: skip
    return float(np.concatenate(mates).mean())


@settings(max_examples=60)
@given(
    N=st.integers(1, 60),
    K=st.integers(1, 8),
    t=st.integers(0, 2),
    batch_size=st.integers(1, 17),
    seed=st.integers(0, 9),
)
def test_every_row_exactly_once(N: int, K: int, t: int, batch_size: int, seed: int):
    codes, lengths = corpus_of_codes(N, K, t, seed)
    batches = prefix_batches(codes, lengths, batch_size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches)) == list(range(N))
    assert max(map(len, batches)) <= batch_size


@pytest.mark.parametrize("t", [0, 1, 2])
def test_the_same_seed_gives_the_same_batches_and_another_one_others(t: int):
    codes, lengths = corpus_of_codes(300, 10, t)

    def batches(seed: int) -> list[list[int]]:
        return [b.tolist() for b in prefix_batches(codes, lengths, 16, np.random.default_rng(seed))]

    assert batches(5) == batches(5)
    assert batches(5) != batches(6)


@pytest.mark.parametrize("t", [1, 2])
def test_a_group_smaller_than_a_batch_lies_in_at_most_two_batches(t: int):
    codes, lengths = corpus_of_codes(1000, 300 if t == 1 else 18, t)
    group = path_ids(codes)
    assert np.bincount(group).max() < MATES
    batches = prefix_batches(codes, lengths, 32, np.random.default_rng(0))
    lies_in = {g: sum(g in group[batch] for batch in batches) for g in range(group.max() + 1)}
    assert max(lies_in.values()) <= 2


@pytest.mark.parametrize(("K", "t"), [(3, 1), (100, 1), (400, 1), (20, 2)])
def test_nearly_every_document_that_has_a_mate_meets_one(K: int, t: int):
    codes, lengths = corpus_of_codes(1000, K, t)
    group = path_ids(codes)
    batches = prefix_batches(codes, lengths, 32, np.random.default_rng(0))
    possible = share_with_a_mate([group])
    assert share_with_a_mate([group[batch] for batch in batches]) > 0.93 * possible
    by_chance = np.array_split(np.random.default_rng(0).permutation(1000), len(batches))
    if K > 32:
        assert share_with_a_mate([group[rows] for rows in by_chance]) < 0.6 * possible


def test_a_group_larger_than_a_batch_is_cut_anew_every_epoch():
    codes, lengths = np.zeros((100, 1), np.int64), np.full(100, 7)
    rng = np.random.default_rng(0)
    first, second = (prefix_batches(codes, lengths, 10, rng) for _ in range(2))
    assert {len(batch) for batch in first} == {10}
    assert {frozenset(b) for b in first} != {frozenset(b) for b in second}


@pytest.mark.parametrize("t", [0, 1])
def test_documents_or_groups_of_similar_length_stand_together(t: int):
    codes, lengths = corpus_of_codes(2000, 500, t)
    if t:
        lengths = 1 + codes[:, 0] % 100  # a group's documents are alike in length, as duplicates are
    batches = prefix_batches(codes, lengths, 20, np.random.default_rng(0))
    padded = sum(lengths[batch].max() * len(batch) for batch in batches)
    shuffled = np.array_split(np.random.default_rng(0).permutation(2000), 100)
    unsorted = sum(lengths[batch].max() * len(batch) for batch in shuffled)
    assert padded < 1.2 * lengths.sum() < unsorted
