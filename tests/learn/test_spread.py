"""Room among mates: every document gets its best code that is not full, as deferred acceptance gives it."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lmindexer.learn.spread import assign_with_room

BEST_FIRST = np.array([[0, 1, 2]] * 4)


def test_worked_by_hand():
    prefix = np.array([5, 5, 5, 9])  # the last one has no mates
    scores = np.array([[0.9, 0.5, 0.1], [0.8, 0.6, 0.1], [0.7, 0.4, 0.3], [0.2, 0.1, 0.0]])
    assert assign_with_room(prefix, BEST_FIRST, scores, room=1).tolist() == [0, 1, 2, 0]
    assert assign_with_room(prefix, BEST_FIRST, scores, room=2).tolist() == [0, 0, 1, 0]


def test_who_runs_out_of_candidates_takes_the_first_one():
    prefix, codes = np.zeros(3, np.int64), np.array([[7], [7], [7]])
    assert assign_with_room(prefix, codes, np.array([[0.1], [0.3], [0.2]]), room=1).tolist() == [7, 7, 7]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_no_code_of_a_prefix_is_fuller_than_its_room(seed: int, room: int):
    rng = np.random.default_rng(seed)
    N, K = 60, 24
    prefix = rng.integers(0, 4, N)
    assume(np.bincount(prefix).max() <= K * room)  # there is room for all
    logits = rng.normal(size=(N, K))
    codes = np.argsort(-logits, axis=1)
    chosen = assign_with_room(prefix, codes, np.take_along_axis(logits, codes, 1), room)
    assert np.bincount(prefix * K + chosen).max() <= room
    for row in range(N):  # stable: whoever holds a code this document liked better has the higher score
        better = codes[row][logits[row, codes[row]] > logits[row, chosen[row]]]
        for code in better:
            holders = np.flatnonzero((prefix == prefix[row]) & (chosen == code))
            assert len(holders) == room
            assert (logits[holders, code] >= logits[row, code]).all()


@pytest.mark.parametrize("room", [5, 100])
def test_with_enough_room_everyone_has_the_first_choice(room: int):
    scores = np.tile([0.9, 0.5, 0.1], (4, 1))
    assert assign_with_room(np.zeros(4, np.int64), BEST_FIRST, scores, room).tolist() == [0] * 4
