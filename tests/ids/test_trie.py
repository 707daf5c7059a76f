"""The trie says exactly what a set of prefixes says, for all documents and for some of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.ids.trie import Trie

SIZES = (3, 5, 2, 4)


@st.composite
def code_tables(draw: st.DrawFn, at_least: int = 0) -> np.ndarray:
    """Few distinct codes, so that paths repeat; some end early and go on with code 0."""
    T = draw(st.integers(1, 4))
    path = st.tuples(*(st.integers(0, size - 1) for size in SIZES[:T]), st.integers(1, T))
    paths = draw(st.lists(path, min_size=at_least, max_size=30))
    ragged = [[code if t < depth else 0 for t, code in enumerate(codes)] for *codes, depth in paths]
    return np.array(ragged, dtype=np.int32).reshape(-1, T)


def check_against_prefixes(trie: Trie, codes: np.ndarray, rows: list[int]) -> None:
    """The slow twin: from the root down, a node's children are the codes that some document goes on with."""
    paths = {row: tuple(codes[row].tolist()) for row in rows}
    prefixes: list[tuple[int, ...]] = [()]
    for t in range(codes.shape[1]):
        nodes = torch.arange(len(prefixes))
        children, mask = trie.children(nodes, t), trie.allowed(nodes, t)
        assert mask.shape == (len(nodes), SIZES[t])
        below: list[tuple[int, ...]] = []
        for node, prefix in enumerate(prefixes):
            follow = sorted({path[t] for path in paths.values() if path[:t] == prefix})
            assert mask[node].nonzero()[:, 0].tolist() == follow
            there = children.exists[node]
            assert children.codes[node][there].tolist() == follow
            assert children.nodes[node][there].tolist() == list(range(len(below), len(below) + len(follow)))
            below += [(*prefix, code) for code in follow]
        prefixes = below
        assert trie.nodes(t) == len(prefixes)
    for leaf, prefix in enumerate(prefixes):
        here = trie.rows[trie.leaf_start[leaf] : trie.leaf_start[leaf + 1]].tolist()
        assert here == sorted(row for row, path in paths.items() if path == prefix)
        assert trie.leaf_sizes(torch.tensor([leaf])).tolist() == [len(here)]
    assert len(trie) == len(rows)


@given(code_tables())
def test_the_trie_is_the_set_of_prefixes(codes: np.ndarray):
    check_against_prefixes(Trie.of(codes, SIZES[: codes.shape[1]]), codes, list(range(len(codes))))


@given(code_tables(at_least=1), st.data())
def test_documents_of_one_path_stand_in_the_order_of_their_ranks(codes: np.ndarray, data: st.DataObject):
    N = len(codes)
    ranks = np.array(data.draw(st.permutations(range(N))))
    rows = data.draw(st.lists(st.integers(0, N - 1), unique=True, min_size=1))
    whole = Trie.of(codes, SIZES[: codes.shape[1]], ranks)
    for trie in (whole, whole.subset(np.array(rows))):
        paths = [tuple(codes[row].tolist()) for row in trie.rows.tolist()]
        places = list(zip(paths, trie.ranks.tolist(), strict=True))
        assert places == sorted(places)
        assert trie.ranks.tolist() == ranks[trie.rows.numpy()].tolist()
        leaves = torch.arange(len(trie.leaf_start) - 1)
        lowest = [min(rank for path, rank in places if path == each) for each in sorted(set(paths))]
        assert trie.leaf_ranks(leaves).tolist() == lowest


@given(code_tables(at_least=1), st.data())
def test_a_subset_is_the_trie_of_those_documents(codes: np.ndarray, data: st.DataObject):
    rows = data.draw(st.lists(st.integers(0, len(codes) - 1), unique=True))
    trie = Trie.of(codes, SIZES[: codes.shape[1]]).subset(np.array(rows, dtype=np.int64))
    check_against_prefixes(trie, codes, rows)
    for level in trie.levels:  # no slot too many
        assert level.widest == max(level.start.diff().tolist(), default=0)


def test_children_by_hand():
    trie = Trie.of(np.array([[17, 401], [3, 401], [17, 5], [17, 401]]), (20, 512))
    children = trie.children(torch.tensor([[0, 1]]), 1)  # of codes 3 and 17
    assert children.codes.tolist() == [[[401, 0], [5, 401]]]
    assert children.exists.tolist() == [[[True, False], [True, True]]]
    assert children.nodes.tolist() == [[[0, 0], [1, 2]]]
    assert trie.rows.tolist() == [1, 2, 0, 3]
    assert trie.leaf_start.tolist() == [0, 1, 2, 4]


def test_sizes_are_as_the_codes_need():
    assert Trie.of(np.array([[4, 0], [1, 9]])).sizes == (5, 10)


def test_codes_beyond_16_bits():
    trie = Trie.of(np.array([[70_000], [32_768], [5]]), (70_001,))
    assert trie.allowed(torch.tensor([0]), 0).nonzero()[:, 1].tolist() == [5, 32_768, 70_000]


@pytest.mark.parametrize("codes", [[[0, 5]], [[-1, 0]]])
def test_codes_outside_the_codebook_are_refused(codes: list[list[int]]):
    with pytest.raises(ValueError, match="do not fit codebooks"):
        Trie.of(np.array(codes), (3, 5))


def test_documents_without_codes_are_refused():
    with pytest.raises(ValueError, match="learn a position first"):
        Trie.of(np.zeros((3, 0), dtype=np.int32))


def test_a_subset_of_unknown_documents_is_refused():
    with pytest.raises(ValueError, match="no document of row 7"):
        Trie.of(np.array([[0], [1]])).subset(np.array([0, 7]))


@pytest.mark.parametrize("positions", [2, 3])
def test_a_million_documents_fit_in_40_megabytes(positions: int):
    codes = np.random.default_rng(0).integers(0, 1024, (1_000_000, positions)).astype(np.int32)
    trie = Trie.of(codes, (1024,) * positions)
    assert len(trie) == 1_000_000
    assert trie.nbytes < 40e6
