"""Unlike mates get different codes: each document its best one that no unlike mate asks for more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmindexer.learn.spread import assign_apart

BEST_FIRST = np.array([[0, 1, 2]] * 4)
UNLIKE = np.eye(4, dtype=np.float32)


def test_worked_by_hand():
    prefix = np.array([5, 5, 5, 9])  # the last one has no mates
    scores = np.array([[0.9, 0.5, 0.1], [0.8, 0.6, 0.1], [0.7, 0.4, 0.3], [0.2, 0.1, 0.0]])
    assert assign_apart(prefix, BEST_FIRST, scores, UNLIKE, alike=0.5).tolist() == [0, 1, 2, 0]
    twins = UNLIKE[[0, 1, 0, 3]]  # documents 0 and 2 are alike and may share what both like best
    assert assign_apart(prefix, BEST_FIRST, scores, twins, alike=0.5).tolist() == [0, 1, 0, 0]
    near = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0]], dtype=np.float32)  # cosine of 0 and 1: 0.6
    assert assign_apart(prefix, BEST_FIRST, scores, near, alike=0.6).tolist() == [0, 0, 1, 0]
    assert assign_apart(prefix, BEST_FIRST, scores, near, alike=0.7).tolist() == [0, 1, 1, 0]  # 1 and 2: 0.8


def test_who_runs_out_of_candidates_takes_the_first_one():
    prefix, codes = np.zeros(3, np.int64), np.array([[7], [7], [7]])
    assert assign_apart(prefix, codes, np.array([[0.1], [0.3], [0.2]]), UNLIKE[:3], 0.5).tolist() == [7, 7, 7]


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(-0.5, 0.99))
def test_whoever_is_refused_is_unlike_the_one_preferred(seed: int, alike: float):
    rng = np.random.default_rng(seed)
    N, K = 60, 60  # more codes than a prefix has documents: nobody runs out
    prefix = rng.integers(0, 4, N)
    logits = rng.normal(size=(N, K))
    vectors = rng.normal(size=(N, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = np.argsort(-logits, axis=1)
    chosen = assign_apart(prefix, codes, np.take_along_axis(logits, codes, 1), vectors, alike)
    for row in range(N):
        mates = np.flatnonzero((prefix == prefix[row]) & (chosen == chosen[row]))
        preferred = mates[logits[mates, chosen[row]].argmax()]
        assert row == preferred or vectors[row] @ vectors[preferred] >= alike - 1e-6


@pytest.mark.parametrize("alike", [-1.0, 0.99])
def test_documents_with_the_same_text_stay_together(alike: float):
    scores = np.tile([0.9, 0.5, 0.1], (4, 1))
    same = np.tile(UNLIKE[0], (4, 1))
    assert assign_apart(np.zeros(4, np.int64), BEST_FIRST, scores, same, alike).tolist() == [0] * 4
