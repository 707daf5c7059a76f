"""Every loss worked by hand; the chunked one against the plain one; hints and masked share the tokens."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from lmindexer.learn.losses import (
    commitment_loss,
    contrastive_loss,
    document_loss,
    macro_f1,
    reconstruction_loss,
    split_hints,
)

EMPTY = torch.empty(3, 0, dtype=torch.long)


def test_contrast_is_in_single_precision_under_autocast():
    torch.manual_seed(0)
    h, view, prefix = torch.randn(16, 64), torch.randn(16, 64), torch.zeros(16, 1, dtype=torch.long)
    full = contrastive_loss(h, view, prefix)
    with torch.autocast("cpu", torch.bfloat16):
        assert contrastive_loss(h, view, prefix).item() == full.item()


def test_contrastive_by_hand():
    h = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    prefix = torch.tensor([[7], [7], [2]])  # documents 0 and 1 share a path
    pair = -np.log(np.e / (np.e + 1))  # exp(h·h) = e, exp(h·h') = 1; document 2 is alone: 0
    assert contrastive_loss(h, h, prefix).item() == pytest.approx((pair + pair + 0) / 3)


def test_at_the_first_position_every_document_is_a_negative():
    h = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    scores = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 2.0]]) * 0.5
    expected = np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(scores)])
    assert contrastive_loss(h, h, EMPTY, scale=0.5).item() == pytest.approx(expected)


def test_paths_are_shared_whole_not_in_part():
    h = torch.randn(3, 4)
    only_the_first_code_is_shared = torch.tensor([[7, 1], [7, 2], [7, 3]])
    assert contrastive_loss(h, h, only_the_first_code_is_shared).item() == 0


def test_a_document_alone_with_its_prefix_contributes_nothing():
    h = torch.randn(4, 8, requires_grad=True)
    view = torch.randn(4, 8, requires_grad=True)
    loss = contrastive_loss(h, view, torch.arange(4)[:, None])
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(h.grad, torch.zeros(4, 8))
    assert torch.equal(view.grad, torch.zeros(4, 8))


def test_a_lonely_document_beside_a_pair_has_finite_gradients():
    h = torch.randn(3, 8, requires_grad=True)
    contrastive_loss(h, h, torch.tensor([[1], [1], [0]])).backward()
    assert h.grad.isfinite().all()
    assert (h.grad[2] == 0).all()
    assert (h.grad[:2] != 0).any()


def test_commitment_by_hand():
    first = torch.tensor([[0.0, 0.0], [np.log(3), 0.0]])  # P = (1/2, 1/2) and (3/4, 1/4)
    second = torch.tensor([[0.0, 0.0, np.log(2)], [0.0, 0.0, 0.0]])  # P = (1/4, 1/4, 1/2) and thirds
    codes = torch.tensor([[0, 2], [0, 1]])
    expected = -(np.log(1 / 2) + np.log(1 / 2) + np.log(3 / 4) + np.log(1 / 3)) / 2
    assert commitment_loss([first], codes[:, :1]).item() == pytest.approx(-(np.log(1 / 2) + np.log(3 / 4)) / 2)
    assert commitment_loss([first, second], codes).item() == pytest.approx(expected)  # sizes may differ


def test_without_an_earlier_position_the_commitment_is_zero():
    assert commitment_loss([], EMPTY).item() == 0


def test_document_loss_by_hand():
    documents = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    rebuilt = torch.tensor([[5.0, 0.0], [3.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])  # same twice, orthogonal, opposite
    assert document_loss(rebuilt, documents).item() == pytest.approx((0 + 0 + 1 + 2) / 4)


def test_macro_f1_by_hand():
    targets = torch.tensor([4, 4, 9, 9])
    predicted = torch.tensor([4, 9, 9, 2])  # token 4: P 1, R 1/2; token 9: P 1/2, R 1/2; token 2 is no target
    assert macro_f1(predicted, targets).item() == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert macro_f1(targets, targets).item() == 1


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=40))
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[int, int]]):
    predicted, targets = (torch.tensor(column) for column in zip(*pairs, strict=True))
    known = sorted(set(targets.tolist()))
    expected = f1_score(targets, predicted, labels=known, average="macro", zero_division=0)
    assert macro_f1(predicted, targets).item() == pytest.approx(expected)


def test_macro_f1_of_the_commonest_tokens():
    targets = torch.tensor([1, 1, 1, 2])
    predicted = torch.tensor([1, 1, 1, 3])
    assert macro_f1(predicted, targets, most=1).item() == 1
    assert macro_f1(predicted, targets, most=2).item() == 0.5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("M", "chunk"), [(1, 1024), (7, 1), (7, 3), (7, 7), (64, 10), (64, 1024)])
def test_reconstruction_in_chunks_is_cross_entropy(M: int, chunk: int, weighted: bool):
    generator = torch.Generator().manual_seed(M * 100 + chunk)
    C, D = 23, 8
    z, weight, bias = (torch.randn(*shape, generator=generator) for shape in ((M, D), (C, D), (C,)))
    targets = torch.randint(C, (M,), generator=generator)
    importance = torch.rand(M, generator=generator) + 0.01 if weighted else None
    inputs = [x.requires_grad_() for x in (z, weight, bias)]

    each = F.cross_entropy(z @ weight.T + bias, targets, reduction="none")
    slow = each.mean() if importance is None else (each * importance).sum() / importance.sum()
    fast = reconstruction_loss(z, targets, weight, bias, importance, chunk=chunk)

    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(torch.autograd.grad(3 * fast, inputs), torch.autograd.grad(3 * slow, inputs), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_reconstruction_asks_only_for_the_gradients_that_are_needed():
    z = torch.randn(5, 4, requires_grad=True)
    reconstruction_loss(z, torch.arange(5), torch.randn(6, 4), torch.zeros(6)).backward()
    assert (z.grad != 0).any()


def test_reconstruction_of_nothing_known_costs_ln_v():
    loss = reconstruction_loss(torch.zeros(9, 4), torch.arange(9), torch.randn(50, 4), torch.zeros(50))
    assert loss.item() == pytest.approx(np.log(50), rel=1e-5)


@settings(max_examples=40)
@given(
    rows=st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=5),
    ratio=st.sampled_from([0.0, 0.2, 0.5, 0.9]),
    seed=st.integers(0, 99),
)
def test_hints_and_masked_partition_the_maskable_tokens(rows: list[list[bool]], ratio: float, seed: int):
    torch.manual_seed(seed)
    maskable = torch.tensor(rows)
    hints, places, counted = split_hints(maskable, ratio)
    for row in range(len(rows)):
        can = set(maskable[row].nonzero().flatten().tolist())
        shown = set(hints[row].nonzero().flatten().tolist())
        masked = places[row][counted[row]].tolist()
        assert len(masked) == len(set(masked)), "a masked token is counted once"
        assert shown | set(masked) == can, "and all that is no hint is"
        assert not shown & set(masked)
        assert abs(len(shown) - ratio * len(can)) < 1
        count = int(counted[row].sum())
        assert counted[row, :count].all(), "the places that count come first, so that the rest may be cut"


@pytest.mark.parametrize("most", [1, 3, 99])
def test_of_the_hidden_tokens_some_are_rebuilt_each_as_likely(most: int):
    torch.manual_seed(0)
    n = 6
    maskable = (torch.arange(9) < n).expand(20000, 9)
    hints, places, counted = split_hints(maskable, 0.5, most)
    assert torch.equal(counted.sum(1), torch.full((20000,), min(most, n // 2)))
    rebuilt = torch.zeros(20000, 9).scatter_add_(1, places, counted.float())
    assert rebuilt.max() == 1, "none twice"
    assert not (hints & (rebuilt > 0)).any()
    assert rebuilt[:, :n].mean(0).tolist() == pytest.approx([min(most, 3) / n] * n, abs=0.02)


def test_without_a_ratio_there_are_no_hints():
    maskable = torch.rand(50, 12) < 0.7
    hints, _, counted = split_hints(maskable, 0.0)
    assert not hints.any()
    assert torch.equal(counted.sum(1), maskable.sum(1))


@pytest.mark.parametrize("ratio", [0.3, 0.5])
def test_the_share_of_hints_is_right_in_the_mean_also_for_short_documents(ratio: float):
    torch.manual_seed(0)
    n = 3
    maskable = (torch.arange(8) < n).expand(20000, 8)
    hints, _, _ = split_hints(maskable, ratio)
    assert hints.float().sum().item() / (20000 * n) == pytest.approx(ratio, abs=0.01)
    by_place = hints[:, :n].float().mean(0)
    assert by_place.tolist() == pytest.approx([ratio] * n, abs=0.02), "every place is as likely"


def test_shapes_in_the_signatures_are_checked():
    with pytest.raises(Exception, match=r"(?i)type-check|shape|dim"):
        contrastive_loss(torch.randn(3, 4), torch.randn(2, 4), EMPTY)
