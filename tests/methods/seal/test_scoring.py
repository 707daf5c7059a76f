"""What n-grams weigh and what documents score, worked by hand; and which n-grams a query is taught to give."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.corpus.tokens import Tokens
from lmindexer.methods.seal.generation import Ngrams
from lmindexer.methods.seal.index import NgramIndex
from lmindexer.methods.seal.samples import SPANS, rarity, sample_spans, sample_starts, starts_in_documents
from lmindexer.methods.seal.scoring import document_scores, intersective, weights_of

DOCUMENTS = [[1, 2, 3, 4], [3, 4, 1, 2], [1, 2, 1, 2], [4, 3, 2, 1]]


def index_of(documents: list[list[int]]) -> NgramIndex:
    return NgramIndex.build(Tokens.of(documents), np.zeros(10, bool))


def ngrams_of(index: NgramIndex, wanted: dict[tuple[int, ...], float], whole: int = 2) -> Ngrams:
    """N-grams of token ids with their log P; those of `whole` tokens are whole."""
    tokens = np.zeros((len(wanted), 4), np.int64)
    for row, ngram in zip(tokens, wanted, strict=True):
        row[: len(ngram)] = index.numbers(list(ngram))
    intervals = np.array([index.interval(row[row > 0]) for row in tokens])
    lengths = np.array([len(ngram) for ngram in wanted])
    return Ngrams(tokens, intervals[:, 0], intervals[:, 1], np.array(list(wanted.values())), lengths == whole)


def test_the_weight_of_an_ngram_by_hand():
    """P(n|q) = 1/2, and with 5 added P(n) = (5 + 5) / (95 + 5): the odds are 1 and 1/9."""
    found = weights_of(np.log([0.5, 0.1, 0.01, 1.0]), np.array([5, 5, 5, 5]), 95)
    assert found[:3] == pytest.approx([math.log(9), 0, 0], abs=1e-6)
    assert np.isfinite(found[3])


def test_documents_by_their_best_ngram():
    index = index_of(DOCUMENTS)
    ngrams = ngrams_of(index, {(1, 2): -1.0, (3, 4): -0.5, (2, 1): -2.0, (4,): -0.1})
    assert document_scores(index, ngrams, "lm").tolist() == [-0.5, -0.5, -1.0, -2.0]
    weights = weights_of(ngrams.log_p, ngrams.high - ngrams.low, index.total)
    by_weight = document_scores(index, ngrams, "lm-fm")
    assert by_weight[:2] == pytest.approx([weights[1], weights[1]])
    assert by_weight[2:].tolist() == [-np.inf, -np.inf], "4 times of 16 is as often as P says, so (1, 2) weighs nothing"
    assert ngrams.high[0] - ngrams.low[0] == 4


def test_several_ngrams_of_a_document_by_hand():
    index = index_of([*DOCUMENTS, [1, 2, 3]])
    ngrams = ngrams_of(index, {(1, 2): 0.0, (3, 4): 0.0, (2, 3): 0.0, (2,): 0.0})
    found = intersective(index, ngrams, np.array([3.0, 2.0, 1.0, 0.5]))
    # document 0 has (1, 2) and (3, 4); (2, 3) overlaps with both, and 2 stands in (1, 2)
    assert found[0] == pytest.approx(3.0**2 + 2.0**2)
    assert found[1] == pytest.approx(3.0**2 + 2.0**2)
    # (1, 2) counts once, however often it is there
    assert found[2] == pytest.approx(3.0**2)
    # of 4, 3, 2, 1 only the single token is there
    assert found[3] == pytest.approx(0.5**2)
    # half of (2, 3) stands in (1, 2)
    assert found[4] == pytest.approx(3.0**2)


def test_an_ngram_that_says_the_same_again_counts_less():
    index = index_of([[1, 2, 9, 2, 3]])
    ngrams = ngrams_of(index, {(1, 2): 0.0, (2, 3): 0.0})
    (found,) = intersective(index, ngrams, np.array([3.0, 2.0]))
    assert found == pytest.approx(3.0**2 + 2.0**2 * (1 - 0.8 + 0.8 / 2)), "2 is covered, 3 is new"


def slow(documents: list[list[int]], ngrams: list[tuple[int, ...]], weights: list[float]) -> list[float]:
    """The same, document by document and place by place."""
    scores = []
    for document in documents:
        taken, seen, score = set[int](), set[int](), 0.0
        for weight, ngram in sorted(zip(weights, ngrams, strict=True), key=lambda pair: (-pair[0], pair[1])):
            spans = [
                range(at, at + len(ngram))
                for at in range(len(document) - len(ngram) + 1)
                if tuple(document[at : at + len(ngram)]) == ngram
            ]
            free = [span for span in spans if not taken & set(span)]
            if free:
                new = len(set(ngram) - seen) / len(set(ngram))
                score += weight**2 * (1 - 0.8 + 0.8 * new)
                seen |= set(ngram)
                taken.update(*free)
        scores.append(score or -math.inf)
    return scores


@given(
    st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=9), min_size=1, max_size=5),
    st.lists(st.integers(1, 20), min_size=12, max_size=12),
    st.randoms(use_true_random=False),
)
def test_fast_is_slow(documents: list[list[int]], weights: list[int], dice: np.random.Generator):
    index = index_of(documents)
    held = sorted({tuple(d[at : at + n]) for d in documents for n in (1, 2, 3) for at in range(len(d) - n + 1)})
    chosen = dice.sample(held, min(len(held), len(weights)))
    values = [weight / 4 for weight in weights[: len(chosen)]]
    found = intersective(index, ngrams_of(index, dict.fromkeys(chosen, 0.0)), np.array(values))
    assert found == pytest.approx(np.array(slow(documents, chosen, values)))


# Which n-grams are learned


def test_rare_tokens_tell_more():
    index = index_of([[1, 2, 2], [1, 3], [1], [1, 2]])
    assert rarity(index) == pytest.approx([0, 0, math.log(2), math.log(4)])


def test_a_query_is_taught_what_shares_most_with_it():
    """The query has 5, in one place of the document; n-grams of two tokens are there at 1 and 2, all others share 0."""
    index = index_of([[1, 2, 5, 3, 4], [1, 2, 3, 4], [2, 1]])
    query = [index.numbers([5])]
    dice = np.random.default_rng(0)
    warm, cold = (sample_starts(index, query, np.array([0]), 2, 4000, temperature, dice) for temperature in (1.0, 0.01))
    share = np.bincount(warm[0], minlength=4) / 4000
    assert share == pytest.approx(np.array([1, 3, 3, 1]) / 8, abs=0.03), "exp(log 3) to exp(0)"
    assert set(cold[0].tolist()) == {1, 2}


def test_an_ngram_of_a_query_lies_in_its_document():
    index = index_of([[1, 2], [], [3, 4, 5, 6]])
    starts = sample_starts(index, [np.array([1])] * 3, np.array([2, 0, 1]), 3, 50, 1.0, np.random.default_rng(0))
    spans = index.spans(starts.ravel(), 3).reshape(3, 50, 3)
    assert set(map(tuple, spans[0].tolist())) == {(3, 4, 5), (4, 5, 6)}
    assert set(map(tuple, spans[1].tolist())) == {(1, 2, 0)}, "a document that is shorter is given whole"
    assert set(map(tuple, spans[2].tolist())) == {(0, 0, 0)}, "and an empty one has none"


def test_spans_of_documents():
    dice = np.random.default_rng(0)
    found = sample_spans(["a b c d", "x", ""] * 30, 3, dice)
    assert len(found) == 90 * SPANS
    assert {span for n in range(30) for span in found[3 * n * SPANS : (3 * n + 1) * SPANS]} == {"a b c", "b c d"}
    assert found[SPANS : 3 * SPANS] == ["x"] * SPANS + [""] * SPANS
    starts = np.concatenate([starts_in_documents(index_of([[1, 2, 3, 4, 5], [7, 8], []]), 3, dice) for _ in range(30)])
    assert starts.shape == (90, SPANS)
    assert set(starts[::3, :-1].ravel().tolist()) == {0, 1, 2}
    assert set(starts[::3, -1].tolist()) == {0}, "where a title stands"
    assert set(starts[1::3].ravel().tolist()) == {6}, "a short document is given whole"
    assert set(starts[2::3].ravel().tolist()) == {9}, "of an empty one stands only its end there"
