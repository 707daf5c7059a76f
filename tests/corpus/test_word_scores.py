"""BM25 by hand, and as the package bm25s has it."""

import math
import random

import numpy as np
import pytest

from lmindexer.corpus.bm25 import Bm25


def test_by_hand():
    index = Bm25.of([["rose", "rose", "soil"], ["storm"], []])  # 4 words in 3 documents
    rarity = math.log(1 + 2.5 / 1.5)
    rose = rarity * 2 / (2 + 1.5 * (0.25 + 0.75 * 3 / (4 / 3)))
    assert index.scores(["rose"]).tolist() == pytest.approx([rose, 0, 0])
    assert index.scores(["rose", "rose", "xylophone"]).tolist() == pytest.approx([2 * rose, 0, 0])
    storm = rarity / (1 + 1.5 * (0.25 + 0.75 / (4 / 3)))
    assert index.scores(["storm"]).tolist() == pytest.approx([0, storm, 0])


@pytest.mark.parametrize("documents", [[], [[]], [[], []]])
def test_where_no_document_has_a_word_none_scores(documents: list[list[str]]):
    assert Bm25.of(documents).scores(["rose"]).tolist() == [0] * len(documents)


def test_scores_are_to_the_bit_those_of_bm25s():
    bm25s = pytest.importorskip("bm25s")
    dice = random.Random(0)
    words = [f"w{int(dice.paretovariate(0.7))}" for _ in range(4000)]
    documents = [[dice.choice(words) for _ in range(dice.randint(1, 60))] for _ in range(300)]
    library = bm25s.BM25()
    library.index(documents, show_progress=False)
    index = Bm25.of(iter(documents))
    for _ in range(50):
        query = [word for word in (dice.choice(words) for _ in range(8)) if word in index.column_of]
        if query:
            assert np.array_equal(index.scores(query), library.get_scores(query))
