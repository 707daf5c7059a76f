"""Nearest neighbours: the quick way against a double loop."""

import math
from collections import Counter

import numpy as np
import pytest

from lmindexer.evaluation import neighbours
from lmindexer.evaluation.neighbours import NEIGHBOURS, embedding_neighbours, lexical_neighbours

WORDS = ["rose", "soil", "storm", "cloud", "anchor", "deck", "violin", "chord", "spoon", "kettle", "frost", "hedge"]


def texts(N: int) -> list[str]:
    dice = np.random.default_rng(0)
    return [" ".join(dice.choice(WORDS, dice.integers(2, 8))) for _ in range(N)]


def cosine(a: dict[str, float], b: dict[str, float]) -> float:
    length = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
    return sum(x * b.get(word, 0.0) for word, x in a.items()) / length if length else 0.0


def nearest(vectors: list[dict[str, float]], row: int) -> list[float]:
    """Similarities of the 10 nearest, the largest first."""
    scores = [cosine(vectors[row], other) for n, other in enumerate(vectors) if n != row]
    return sorted(scores, reverse=True)[:NEIGHBOURS]


def check(found: np.ndarray, vectors: list[dict[str, float]]) -> None:
    for row, others in enumerate(found):
        others = others[others >= 0]
        assert row not in others
        assert len(set(others)) == len(others) == min(NEIGHBOURS, len(vectors) - 1)
        told = sorted((cosine(vectors[row], vectors[other]) for other in others), reverse=True)
        assert told == pytest.approx(nearest(vectors, row), abs=1e-6)


@pytest.mark.parametrize("N", [1, 2, 7, 11, 12, 40])
def test_embedding_neighbours_are_those_of_the_double_loop(N: int):
    embeddings = np.random.default_rng(N).normal(size=(N, 5)) * 3
    found = embedding_neighbours(embeddings)
    assert found.shape == (N, NEIGHBOURS)
    check(found, [dict(zip("abcde", vector, strict=True)) for vector in embeddings.tolist()])


def bm25(texts: list[str], row: int) -> list[float]:
    """What every document scores when `row` asks, in the plainest way."""
    bags = [Counter(text.split()) for text in texts]
    mean = sum(bag.total() for bag in bags) / len(bags)
    scores = []
    for bag in bags:
        score = 0.0
        for word in set(bags[row]) & set(bag):
            holding = sum(word in other for other in bags)
            rarity = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
            score += rarity * bag[word] / (bag[word] + 1.5 * (1 - 0.75 + 0.75 * bag.total() / mean))
        scores.append(score)
    return scores


def check_lexical(found: np.ndarray, scores: np.ndarray) -> None:
    """`scores` (N, N): what each document scores when the row's document asks."""
    for row, others in enumerate(found):
        near = sorted(np.delete(scores[row], row), reverse=True)[:NEIGHBOURS]
        told = sorted(scores[row, others[others >= 0]], reverse=True)
        assert told == pytest.approx([score for score in near if score > 0], abs=1e-5)
        assert row not in others


@pytest.mark.parametrize("cells", [neighbours.CELLS, 500, 1])
@pytest.mark.parametrize("N", [2, 7, 150])
def test_lexical_neighbours_are_those_of_the_double_loop(N: int, cells: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(neighbours, "CELLS", cells)  # however few scores are held at a time
    given = texts(N)
    found = lexical_neighbours(given)
    assert found.shape == (N, NEIGHBOURS)
    check_lexical(found, np.array([bm25(given, row) for row in range(N)]))


def test_lexical_neighbours_are_those_of_bm25s():
    bm25s = pytest.importorskip("bm25s")
    given = texts(200)
    library = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    library.index([text.split() for text in given], show_progress=False)
    asked = [sorted(set(text.split())) for text in given]
    check_lexical(lexical_neighbours(given), np.array([library.get_scores(words) for words in asked]))


def test_a_rare_word_counts_more_than_a_common_one():
    given = ["rose kettle", "rose spoon", "rose deck", "rose chord", "kettle anchor"]
    found = lexical_neighbours([*given, *["rose"] * 12])[0]
    assert 4 in found, "of sixteen that share a word with the first, the one that shares kettle"


def test_texts_without_words_have_no_neighbours():
    assert (lexical_neighbours(["", "?", "!"]) == -1).all()
    found = lexical_neighbours(["rose soil", "", "rose storm", "cloud"])
    assert found[1].max() == found[3].max() == -1
    assert [found[0].max(), found[2].max()] == [2, 0]


def test_an_embedding_of_nothing_is_no_fault():
    found = embedding_neighbours(np.zeros((3, 4)))
    assert sorted(found[0][:2]) == [1, 2]


def test_a_large_corpus_is_sampled_and_always_the_same(monkeypatch: pytest.MonkeyPatch):
    embeddings = np.random.default_rng(0).normal(size=(50, 4))
    whole = embedding_neighbours(embeddings, seed=3)
    monkeypatch.setattr(neighbours, "SAMPLE", 20)
    found = embedding_neighbours(embeddings, seed=3)
    looked_up = found[:, 0] >= 0
    assert looked_up.sum() == 20
    assert [set(a) for a in found[looked_up]] == [set(b) for b in whole[looked_up]]
    assert np.array_equal(found, embedding_neighbours(embeddings, seed=3))
    assert not np.array_equal(looked_up, embedding_neighbours(embeddings, seed=4)[:, 0] >= 0)


def test_texts_without_spaces_are_neighbours_by_their_signs():
    found = lexical_neighbours(["红色的桥", "高山", "一座桥", "白云"])
    assert (found[0].max(), found[2].max(), found[1].max()) == (2, 0, -1)
