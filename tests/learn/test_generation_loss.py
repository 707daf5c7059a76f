"""Eq. 14 worked by hand: every position counts, pairs by their weight, smoothing spreads a share of the target."""

import math

import pytest
import torch
from jaxtyping import TypeCheckError

from lmindexer.learn.losses import commitment_loss, generation_loss, soft_generation_loss

# two pairs, a position of 2 codes and one of 3
LOGITS = [torch.tensor([[0.0, math.log(3)], [0.0, 0.0]]), torch.tensor([[0.0, 0.0, 0.0], [math.log(6), 0.0, 0.0]])]
CODES = torch.tensor([[1, 2], [0, 0]])
FIRST = math.log(4 / 3) + math.log(3)  # P = 3/4, then 1/3
SECOND = math.log(2) + math.log(4 / 3)  # P = 1/2, then 6/8
ONES = torch.ones(2)


def test_the_positions_of_a_pair_add_up_and_pairs_are_averaged():
    assert generation_loss(LOGITS, CODES, ONES).item() == pytest.approx((FIRST + SECOND) / 2)


def test_a_pair_counts_by_its_weight():
    weight = torch.tensor([1.0, 0.25])
    assert generation_loss(LOGITS, CODES, weight).item() == pytest.approx((FIRST + 0.25 * SECOND) / 1.25)
    only_the_second = torch.tensor([0.0, 0.5])
    assert generation_loss(LOGITS, CODES, only_the_second).item() == pytest.approx(SECOND)


def test_smoothing_spreads_a_share_of_the_target_over_all_codes():
    # position 0 of the first pair: 0.8 on its code and 0.1 on either of the two
    first = 0.8 * math.log(4 / 3) + 0.1 * (math.log(4 / 3) + math.log(4)) + math.log(3)
    second = math.log(2) + 0.8 * math.log(4 / 3) + 0.2 / 3 * (math.log(4 / 3) + 2 * math.log(8))
    assert generation_loss(LOGITS, CODES, ONES, 0.2).item() == pytest.approx((first + second) / 2)


def test_without_weights_it_is_the_commitment_loss():
    torch.manual_seed(0)
    logits, codes = [torch.randn(5, 7), torch.randn(5, 3)], torch.randint(0, 3, (5, 2))
    assert generation_loss(logits, codes, torch.ones(5)).item() == pytest.approx(commitment_loss(logits, codes).item())


def test_shapes_are_checked():
    with pytest.raises(TypeCheckError):
        generation_loss(LOGITS, CODES, torch.ones(3))


def test_one_document_that_answers_alone_is_eq_14():
    weight = torch.tensor([1.0, 0.25])
    for smoothing in (0.0, 0.2):
        alone = soft_generation_loss(LOGITS, CODES[:, None], torch.ones(2, 1), weight, smoothing)
        assert alone.item() == pytest.approx(generation_loss(LOGITS, CODES, weight, smoothing).item())


def test_shares_of_documents_add_up_along_the_path_of_the_first():
    logits = [LOGITS[0][:1], LOGITS[1][:1]]  # P = 1/4, 3/4; then 1/3 each
    documents = torch.tensor([[[1, 2], [0, 1], [1, 0]]])
    share = torch.tensor([[0.5, 0.3, 0.2]])
    first = -(0.7 * math.log(3 / 4) + 0.3 * math.log(1 / 4))
    assert soft_generation_loss(logits, documents, share, torch.ones(1)).item() == pytest.approx(first + math.log(3))
    sharper = [logits[0], torch.tensor([[0.0, 0.0, math.log(6)]])]  # then 1/8, 1/8, 6/8
    second = -(5 / 7 * math.log(6 / 8) + 2 / 7 * math.log(1 / 8))
    assert soft_generation_loss(sharper, documents, share, torch.ones(1)).item() == pytest.approx(first + second)
