"""The index of n-grams against counting them one by one."""

import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.corpus.tokens import Tokens
from lmindexer.errors import InputError
from lmindexer.methods.seal.index import END, NgramIndex

SPECIAL = 0  # a token that no n-gram may hold
DOCUMENTS = st.lists(st.lists(st.integers(0, 4), max_size=12), min_size=1, max_size=6).filter(
    lambda documents: any(token != SPECIAL for document in documents for token in document)
)


def index_of(documents: list[list[int]], scale: int = 1) -> NgramIndex:
    """Of token ids that are `scale` times as high."""
    special = np.zeros(5 * scale, bool)
    special[SPECIAL] = True
    return NgramIndex.build(Tokens.of([[token * scale for token in document] for document in documents]), special)


def counted(documents: list[list[int]], length: int) -> Counter[tuple[int, ...]]:
    """How often each n-gram of so many tokens occurs: within one document, without a special token."""
    ngrams = (tuple(document[at : at + length]) for document in documents for at in range(len(document) - length + 1))
    return Counter(ngram for ngram in ngrams if SPECIAL not in ngram)


def numbers(index: NgramIndex, ngram: tuple[int, ...], scale: int = 1) -> np.ndarray:
    return index.numbers([token * scale for token in ngram])


@given(DOCUMENTS, st.integers(1, 5), st.sampled_from([1, 20_000]))
def test_it_counts_and_locates_as_one_counts_by_hand(documents: list[list[int]], length: int, scale: int):
    index = index_of(documents, scale)
    assert index.total == sum(counted(documents, 1).values())
    for ngram, count in counted(documents, length).items():
        low, high = index.interval(numbers(index, ngram, scale))
        assert high - low == count
        holding = {
            row
            for row, document in enumerate(documents)
            for at in range(len(document) - length + 1)
            if tuple(document[at : at + length]) == ngram
        }
        places = index.places(low, high)
        assert set(index.documents_at(places).tolist()) == holding
        for span in index.spans(places, length):
            assert (index.token_ids[span - 1] // scale).tolist() == list(ngram)


@given(DOCUMENTS, st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_an_ngram_that_does_not_occur_has_no_suffix(documents: list[list[int]], ngram: list[int]):
    index = index_of(documents)
    known = numbers(index, tuple(ngram))
    if len(known) == len(ngram):
        low, high = index.interval(known)
        assert high - low == counted(documents, len(ngram))[tuple(ngram)]


@given(DOCUMENTS, st.integers(1, 4))
def test_what_follows_is_what_stands_behind(documents: list[list[int]], length: int):
    """Of all prefixes of a length at once: which tokens may follow, how often, and the same intervals."""
    index = index_of(documents)
    prefixes = sorted(counted(documents, length))
    if not prefixes:
        return
    intervals = np.array([index.interval(numbers(index, prefix)) for prefix in prefixes])
    found = index.after(intervals[:, 0], intervals[:, 1], length)
    counts = {
        (*prefixes[prefix], int(index.token_ids[token - 1])): high - low
        for prefix, token, low, high in zip(found.prefix, found.token, found.low, found.high, strict=True)
    }
    assert counts == counted(documents, length + 1)
    for ngram, (low, high) in zip(counts, zip(found.low, found.high, strict=True), strict=True):
        assert index.interval(numbers(index, ngram)) == (low, high)


@given(DOCUMENTS)
def test_the_first_tokens_are_all_that_occur(documents: list[list[int]]):
    index = index_of(documents)
    for number, token in enumerate(index.token_ids.tolist(), 1):
        assert index.interval(np.array([number])) == (index.bounds[number - 1], index.bounds[number])
        assert index.bounds[number] - index.bounds[number - 1] == counted(documents, 1)[(token,)]


def test_a_span_ends_where_its_document_does():
    index = index_of([[1, 2, 3], [4, 0, 1, 2]])
    assert index.spans(np.array([1, 4, 7]), 3).tolist() == [[2, 3, END], [4, END, END], [2, END, END]]
    assert index.starts.tolist() == [0, 4, 9]
    assert index.numbers([3, 9, 1, 0]).tolist() == [3, 1], "a token that no document holds has no number"


def test_without_pydivsufsort_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pydivsufsort", None)
    with pytest.raises(InputError, match=r"SEAL needs pydivsufsort, .*: pip install 'lmindexer\[seal\]'"):
        index_of([[1, 2]])
