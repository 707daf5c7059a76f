from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.corpus.tokens import Tokens, length_bucketed_batches


def letters(texts: list[str]) -> list[list[int]]:
    """A tokenizer: one token a character; the text "-" has none."""
    return [[ord(character) for character in text.strip("-")] for text in texts]


def corpus_of(texts: list[str]) -> Corpus:
    return Corpus.from_documents(Document(str(row), text) for row, text in enumerate(texts))


def test_padded_by_hand():
    tokens = Tokens(np.array([5, 6, 7, 8, 9, 3], np.int32), np.array([0, 2, 5, 5, 6]))
    ids, mask = tokens.padded([1, 0, 2], pad_id=-1)
    assert ids.tolist() == [[7, 8, 9], [5, 6, -1], [-1, -1, -1]]
    assert mask.tolist() == [[True, True, True], [True, True, False], [False, False, False]]
    assert (ids.dtype, mask.dtype) == (np.int64, bool)
    assert len(tokens) == 4
    assert tokens.length_of([3, 1]).tolist() == [1, 3]
    assert tokens.padded([], pad_id=0)[0].shape == (0, 0)


@settings(max_examples=30)
@given(texts=st.lists(st.text("abc-", min_size=1), min_size=1, max_size=9), chunk=st.integers(1, 4))
def test_padded_is_the_obvious_loop(texts: list[str], chunk: int):
    corpus = corpus_of(texts)
    tokens = Tokens.build(corpus, letters, chunk=chunk)
    rows = np.arange(len(texts))[::-1]
    ids, mask = tokens.padded(rows, pad_id=0)
    for row, row_ids, row_mask in zip(rows, ids, mask, strict=True):
        expected = letters(corpus.texts([row]))[0]
        assert row_ids[row_mask].tolist() == expected
        assert row_mask[: len(expected)].all()
        assert not row_ids[~row_mask].any()


@pytest.mark.parametrize("texts", [["abc", "-", "de", "f" * 50], ["-", "--"]])
def test_on_disk_is_the_same_as_in_memory(texts: list[str], tmp_path: Path):
    inside = Tokens.build(corpus_of(texts), letters)
    outside = Tokens.build(corpus_of(texts), letters, tmp_path / "tokens.bin", chunk=2)
    assert outside.ids.tolist() == inside.ids.tolist()
    assert outside.offsets.tolist() == inside.offsets.tolist()
    assert outside.ids.dtype == inside.ids.dtype == np.int32
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.bin"]


def test_a_tokenizer_that_loses_a_text_raises():
    with pytest.raises(ValueError, match="1 lists of 2 texts"):
        Tokens.build(corpus_of(["a", "b"]), lambda texts: [[1]])


@given(
    lengths=st.lists(st.integers(0, 50), max_size=200),
    batch_size=st.integers(1, 9),
    max_tokens=st.none() | st.integers(1, 100),
    seed=st.integers(0, 9),
)
def test_every_row_is_in_one_batch(lengths: list[int], batch_size: int, max_tokens: int | None, seed: int):
    sizes = np.array(lengths, dtype=np.int64)
    batches = length_bucketed_batches(sizes, batch_size, np.random.default_rng(seed), max_tokens)
    again = length_bucketed_batches(sizes, batch_size, np.random.default_rng(seed), max_tokens)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]
    for batch in batches:
        assert 1 <= len(batch) <= batch_size
        if max_tokens is not None and len(batch) > 1:
            assert len(batch) * sizes[batch].max() <= max_tokens


def test_batches_hold_documents_of_similar_length_in_a_new_order():
    lengths = np.random.default_rng(0).integers(1, 200, size=4096)
    rng = np.random.default_rng(1)
    first, second = (length_bucketed_batches(lengths, 16, rng) for _ in range(2))
    padding = sum(len(batch) * lengths[batch].max() for batch in first) / lengths.sum() - 1
    assert padding < 0.06  # batches in file order pad by about 0.85
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]
    longest = [lengths[batch].max() for batch in first]
    assert longest != sorted(longest)


def test_widths_are_few_and_none_is_beyond_the_longest_row():
    tokens = Tokens.of([[1] * length for length in range(1, 61)])
    widths = {length: tokens.padded([length - 1], 0)[0].shape[1] for length in range(1, 61)}
    assert widths == {n: min(60, -(-n // step) * step) for n in widths for step in [4 if n <= 32 else 8]}
    ids, mask = tokens.padded([4, 1], 0)
    assert ids.sum(1).tolist() == mask.sum(1).tolist() == [5, 2]


def test_different_tokens_of_some_rows():
    tokens = Tokens.of([[7, 3, 7], [], [2, 3, 9]])
    assert tokens.different([0, 2], [9]).tolist() == [2, 3, 7]
    assert tokens.different([1]).tolist() == []
