"""The most frequent items, whatever the history."""

import numpy as np
import pytest

from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_key
from lmindexer.methods.popular import PopularRetriever
from lmindexer.methods.retriever import Hit


def test_the_most_frequent_come_first_and_ties_by_hash():
    popular = PopularRetriever("abcde", np.array([1, 0, 5, 1, 9]))
    expected = [Hit("e", 9.0), Hit("c", 5.0), Hit("d", 1.0), Hit("a", 1.0), Hit("b", 0.0)]
    assert tie_key("d") < tie_key("a")
    for k in (1, 3, 4, 5, 99):
        assert popular.recommend([["e"], [], ["unknown"]], k) == [expected[:k]] * 3
    assert popular.recommend([], 3) == []


def test_lists_are_not_shared():
    one, other = PopularRetriever("ab", np.array([1, 2])).recommend([[], []], 2)
    one.clear()
    assert len(other) == 2


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="must be at least 1, not 0"):
        PopularRetriever("ab", np.array([1, 2])).recommend([[]], 0)
    with pytest.raises(ValueError, match=r"counts are \(3,\), but 2 documents"):
        PopularRetriever("ab", np.array([1, 2, 3]))
