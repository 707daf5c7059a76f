"""Random codes."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.config import from_mapping
from lmindexer.ids.quality import perplexity
from lmindexer.indexers.random_codes import RandomCodes, random_vectors
from lmindexer.progress import Progress


def codes_of(numbers: torch.Tensor, sizes: tuple[int, ...]) -> np.ndarray:
    return RandomCodes.fit(numbers, from_mapping({"sizes": sizes}), Progress(None)).codes(numbers)


def test_a_number_is_cut_into_equal_parts():
    assert codes_of(torch.tensor([[0.0, 0.5], [0.26, 0.99]]), (4, 10)).tolist() == [[0, 5], [1, 9]]


def test_half_precision_that_rounds_up_to_one_stays_within_the_sizes():
    assert codes_of(torch.tensor([[0.99999, 0.0]]).half(), (256, 2)).tolist() == [[255, 0]]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 10), st.integers(1, 9))
def test_a_document_draws_the_same_in_any_company_and_below_one(doc_id, seed, T):
    alone = random_vectors([doc_id], T, seed)
    assert torch.equal(alone[0], random_vectors(["another", doc_id], T, seed)[1])
    assert ((alone >= 0) & (alone < 1)).all()


def test_seed_id_and_position_all_matter_and_codes_are_even():
    numbers = random_vectors([str(row) for row in range(2000)], 2, 0)
    assert len(torch.cat([numbers.ravel(), random_vectors(["7"], 2, 1).ravel()]).unique()) == 4002
    codes = codes_of(numbers, (16, 16))
    assert perplexity(codes[:, 0], 16) > 15.8
    assert perplexity(codes[:, 0] * 16 + codes[:, 1], 256) > 230
