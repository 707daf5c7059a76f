"""When codes have collapsed, and what is said of it."""

import numpy as np
import pytest

from lmindexer.config import INDEXER_NAMES
from lmindexer.ids.collapse import ADVICE, collapse, collapse_of_position

HEALTHY = np.column_stack([np.arange(160) % 8, np.arange(160) // 8 % 8])


@pytest.mark.parametrize("indexer", INDEXER_NAMES)
def test_codes_in_even_use_are_no_collapse(indexer: str):
    assert collapse(HEALTHY, (8, 8), indexer, leaf=100) == []


@pytest.mark.parametrize("indexer", ADVICE)
def test_one_path_for_all_is_told_with_what_to_try(indexer: str):
    first, *others = collapse(np.zeros((160, 2), int), (8, 8), indexer, leaf=100)
    assert first == f"c1 uses 1 of 8 codes (perplexity 1.0); {ADVICE[indexer]}"
    assert others[-1].startswith("160 of 160 documents share all their learned codes with at least ")
    assert others[-1].endswith(f" others, 160 on one path; {ADVICE[indexer]}")


def test_random_codes_need_no_warning():
    assert set(INDEXER_NAMES) - set(ADVICE) == {"random"}
    assert collapse(np.zeros((160, 2), int), (8, 8), "random") == []


@pytest.mark.parametrize(
    ("codes", "size", "collapsed"),
    [
        ([0, 1, 2, 3] * 4 + [4], 8, False),  # 5 of 8
        ([0, 1, 2, 3] * 4, 8, True),  # half of them
        ([0] * 8, 2, True),
        ([0, 1], 8, False),  # two documents cannot use more
        ([0], 1, False),  # one code is all there is
        ([*range(20), *[0] * 4000], 20, True),  # all in use, and nearly all documents have one
    ],
)
def test_a_position_by_hand(codes: list[int], size: int, collapsed: bool):
    assert bool(collapse_of_position(np.array(codes), size, 0, "try")) == collapsed


@pytest.mark.parametrize(("crowd", "collapsed"), [(79, False), (80, True)])
def test_most_documents_on_crowded_paths_are_a_collapse(crowd: int, collapsed: bool):
    """Of 160 documents and 64 paths, 2.5 would be even; 10, four times as many, are no crowd. One is there anyhow."""
    codes = HEALTHY.copy()
    codes[:crowd] = 7, 7
    found = [warning for warning in collapse(codes, (8, 8), "rq-kmeans") if "share all" in warning]
    assert len(found) == collapsed
    tens = np.column_stack([np.arange(160) % 16 % 8, np.arange(160) % 16 // 8])
    assert collapse(tens, (8, 2), "rq-kmeans") == []


def test_few_documents_a_code_are_no_crowd():
    """Small runs have few paths: 30 documents on 4 share them without any fault."""
    codes = np.column_stack([np.arange(30) % 2, np.arange(30) // 2 % 2])
    assert collapse(codes, (2, 2), "lmindexer") == []


def test_as_many_as_a_leaf_holds_are_no_crowd_in_a_tree():
    codes = np.column_stack([np.arange(160) % 10, np.zeros(160, int)])  # the tree ends after c1
    assert collapse(codes, (10, 10), "hc", leaf=100) == []
    assert collapse(codes, (10, 10), "hc", leaf=10) != []


def test_the_cause_is_told_where_it_is_the_texts():
    one = np.zeros((160, 2), int)
    ways_out = {1: "only 1 different text, ", 80: "only 80 different texts, ", 81: "--sizes", None: "--sizes"}
    for readings, way_out in ways_out.items():
        assert all(way_out in warning for warning in collapse(one, (8, 8), "rq-vae", readings=readings))
