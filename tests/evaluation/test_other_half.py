"""Half a document asks for its other half: by hand."""

import numpy as np
import pytest

from lmindexer.evaluation.other_half import found_by_vectors, found_through_codes

AXES = np.eye(3)


def test_by_vectors_by_hand():
    asking = np.array([[1.0, 0, 0], [0, 3.0, 0], [0, 0.1, 1.0]])
    assert found_by_vectors(asking, AXES) == 1
    swapped = AXES[[1, 0, 2]]  # the first two find each other's half first
    assert found_by_vectors(asking, swapped) == pytest.approx(np.mean([1 / 2.5, 1 / 2.5, 1]))


def test_what_is_alike_comes_in_any_order():
    assert found_by_vectors(np.ones((5, 2)), np.ones((5, 2))) == pytest.approx(1 / 3), "two of four before it"


def test_through_codes_by_hand():
    sought = AXES[[0, 0, 1, 2]]
    asking = np.array([[1.0, 0.2, 0], [0, 1.0, 0.5], [0, 1.0, 0], [0, 0, 1.0]])
    # the first is at once in its code, of two; the second tries codes 1 and 2 (one half each) before its own, of two
    expected = np.mean([1 / 1.5, 1 / 3.5, 1, 1])
    assert found_through_codes(asking, sought, 7 * AXES) == pytest.approx(expected)


def test_a_collapse_finds_nothing():
    generator = np.random.default_rng(0)
    halves = generator.normal(size=(100, 8))
    one = np.vstack([np.ones(8), -1e9 * np.ones((3, 8))])
    assert found_through_codes(halves, np.abs(halves), one) < 0.02 < found_through_codes(halves, halves, halves[:20])
