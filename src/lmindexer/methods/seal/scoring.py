"""What documents score by the n-grams that were generated: section 3.3 of the paper."""

import numpy as np

from lmindexer.methods.seal.generation import Ngrams
from lmindexer.methods.seal.index import NgramIndex

SCORINGS = ("intersective", "lm-fm", "lm")
POWER = 2.0  # alpha of the paper, as published
COVERAGE = 0.8  # beta: how much less an n-gram counts whose tokens better ones have covered
SMOOTHING = 5  # occurrences that are added to all counts, as published


def weights_of(log_p: np.ndarray, counts: np.ndarray, total: int) -> np.ndarray:
    """w(n, q) = max(0, log P(n|q) (1 - P(n)) / (P(n) (1 - P(n|q)))) of n-grams (R,), in nats.

    How much likelier the question makes an n-gram than its frequency, P(n), `counts` of `total` tokens.
    """
    log_p = np.minimum(log_p, -1e-10)
    log_share = np.log((counts + SMOOTHING) / (total + SMOOTHING))
    odds, usual = log_p - np.log(-np.expm1(log_p)), log_share - np.log(-np.expm1(log_share))
    return np.maximum(odds - usual, 0)


def document_scores(index: NgramIndex, ngrams: Ngrams, scoring: str) -> np.ndarray:
    """Of all documents (N,) float64; -inf where a document holds none of the n-grams that count.

    "lm": log P of the likeliest whole n-gram of the document. "lm-fm": the highest w(n, q) of these. "intersective":
    as `intersective`, of all n-grams. An n-gram of weight 0 does not count in the last two.
    """
    weights = weights_of(ngrams.log_p, ngrams.high - ngrams.low, index.total)
    if scoring == "intersective":
        return intersective(index, ngrams.at(weights > 0), weights[weights > 0])
    values = ngrams.log_p if scoring == "lm" else weights
    scores = np.full(len(index.starts) - 1, -np.inf)
    for n in np.flatnonzero(ngrams.whole & ((scoring == "lm") | (weights > 0))):
        held = index.documents_at(index.places(ngrams.low[n], ngrams.high[n]))
        scores[held] = np.maximum(scores[held], values[n])
    return scores


def intersective(index: NgramIndex, ngrams: Ngrams, weights: np.ndarray) -> np.ndarray:
    """The sum of w(n, q)^alpha cover(n, K) over K, the n-grams of a document that overlap with no better one in it.

    cover(n, K) = 1 - beta + beta |tokens of n that no better one of K has| / |tokens of n|: what says the same again
    counts less. Of equal weights the first in the order of their tokens is the better one.
    """
    N = len(index.starts) - 1
    scores, taken = np.zeros(N), np.zeros(len(index.text), bool)
    kinds = np.unique(ngrams.tokens)
    seen = np.zeros((N, len(kinds)), bool)  # which tokens the n-grams of K have so far
    for n in np.lexsort([ngrams.length, ngrams.low, -weights]):
        tokens = ngrams.tokens[n, : ngrams.length[n]]
        places = index.places(ngrams.low[n], ngrams.high[n])
        spans = places[:, None] + np.arange(len(tokens))
        free = ~taken[spans].any(1)
        taken[spans[free]] = True
        holding = np.unique(index.documents_at(places[free]))
        these = np.searchsorted(kinds, np.unique(tokens))
        new = 1 - seen[holding[:, None], these].mean(1)
        scores[holding] += weights[n] ** POWER * (1 - COVERAGE + COVERAGE * new)
        seen[holding[:, None], these] = True
    return np.where(scores > 0, scores, -np.inf)
