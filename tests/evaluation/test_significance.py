"""Paired tests by hand, and what must always hold of them."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import Interval, mean_intervals
from lmindexer.evaluation.metrics import Judged
from lmindexer.evaluation.significance import (
    Difference,
    difference,
    differences_to_first,
    holm,
    not_told_apart,
    p_to_best,
    sign_flip_test,
    to_dict,
    to_table,
)


def judged_as(values: list[float], query_ids: tuple[str, ...] | None = None) -> Judged:
    ids = query_ids or tuple(map(str, range(len(values))))
    return Judged(ids, {"mrr@10": np.array(values)}, {"mrr@10": None}, 0)


def test_few_queries_by_all_signs_by_hand():
    # sums of +-1 +-2 +-3 as far from 0 as 6: two of eight
    assert sign_flip_test(np.array([1.0, 2.0, 3.0])) == 2 / 8
    # as far as 4, which is 3 + 2 - 1: +-6 and +-4
    assert sign_flip_test(np.array([-1.0, 2.0, 3.0])) == 4 / 8
    assert sign_flip_test(np.array([1.0, 2.0, 0.0, 3.0, 0.0])) == 2 / 8
    assert sign_flip_test(np.zeros(5)) == 1
    assert sign_flip_test(np.array([])) == 1
    assert sign_flip_test(np.array([0.1, 0.2, -0.3])) == 1  # though their sum rounds to 5e-17
    # only all or none: their sum in another order rounds below itself
    assert sign_flip_test(np.array([-0.9, -0.7, -0.6, -0.2])) == 2 / 16


def test_sampled_signs_come_near_all_signs():
    differences = np.random.default_rng(2).normal(0.3, 1, 15)
    signs = np.array(list(itertools.product((-1, 1), repeat=15)))
    exact = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
    assert sign_flip_test(differences, 20_000) == pytest.approx(exact, abs=0.015)


def test_a_sampled_p_is_never_0():
    assert sign_flip_test(np.ones(1000), 99) == 1 / 100


def test_alike_systems_are_told_apart_as_often_as_promised():
    random = np.random.default_rng(0)
    found = np.array([sign_flip_test(random.normal(size=30), 400, seed) for seed in range(300)])
    assert (found <= 0.05).mean() == pytest.approx(0.05, abs=0.035)


def test_a_difference_by_hand():
    better = difference(judged_as([0.0, 0.5, 1.0]), judged_as([1.0, 1.0, 1.0]), "mrr@10")
    assert better.mean == pytest.approx(0.5)
    assert better.p_value == 2 / 4  # +-1 +-.5: two of four
    assert better.interval == mean_intervals(np.array([[1.0], [0.5], [0.0]]), (-1, 1), 1000, 0)[0]
    unasked = difference(judged_as([0.0, 0.5, 1.0]), judged_as([1.0, 1.0, 1.0]), "mrr@10", resamples=0)
    assert unasked.interval is None


def test_only_the_same_queries_compare():
    with pytest.raises(InputError, match="not asked the same queries"):
        difference(judged_as([0.0, 1.0]), judged_as([1.0, 0.0], ("1", "0")), "mrr@10")


def test_holm_by_hand():
    # .01 * 3 = .03; .02 * 2 = .04; .03 * 1 = .03, raised to the .04 before it
    assert holm([0.03, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_adjusted_p_are_never_smaller_and_keep_their_order(p_values: list[float]):
    adjusted = holm(p_values)
    assert all(p <= each <= 1 for p, each in zip(p_values, adjusted, strict=True))
    for (p, one), (q, other) in itertools.combinations(zip(p_values, adjusted, strict=True), 2):
        assert (one <= other) if p <= q else (other <= one)
    assert min(adjusted) == pytest.approx(min(1, len(p_values) * min(p_values)))


def test_all_differences_of_a_table_are_adjusted_together():
    def both(first: list[float], second: list[float]) -> Judged:
        values = {"mrr@10": np.array(first), "hit@1": np.array(second)}
        return Judged(tuple("abcde"), values, dict.fromkeys(values), 0)

    zeros, ones, one = [0.0] * 5, [1.0] * 5, [0.0, 0.0, 0.0, 0.0, 1.0]
    judged = {"a": both(zeros, zeros), "b": both(ones, one), "c": both(one, ones)}
    found = differences_to_first(judged, ["mrr@10", "hit@1"], resamples=0)
    assert list(found) == ["b", "c"]
    assert found["b"]["mrr@10"] == Difference(1.0, None, 2 / 32, 8 / 32), "the smallest of four tests"
    assert found["c"]["hit@1"] == Difference(1.0, None, 2 / 32, 8 / 32)
    assert found["c"]["mrr@10"] == Difference(0.2, None, 1.0, 1.0)
    assert differences_to_first(judged, ["mrr@10"], resamples=0)["b"]["mrr@10"].p_holm == 4 / 32
    assert differences_to_first({"a": judged["a"]}, ["mrr@10"]) == {}


def test_who_is_not_told_apart_from_the_best_by_hand():
    far, near, best = [0.0] * 9, [1.0] * 8 + [0.0], [1.0] * 9
    judged = {name: judged_as(values) for name, values in (("far", far), ("near", near), ("best", best))}
    found = not_told_apart(judged, differences_to_first(judged, ["mrr@10"]), ["mrr@10"])
    assert found == {"mrr@10": {"best", "near"}}  # far: 2 / 512, twice; near: 1
    order = {name: judged[name] for name in ("near", "far", "best")}  # far and best: none of them is the first
    assert not_told_apart(order, differences_to_first(order, ["mrr@10"]), ["mrr@10"]) == found
    few = {name: judged_as(values[:5]) for name, values in (("far", far), ("best", best))}
    assert not_told_apart(few, differences_to_first(few, ["mrr@10"]), ["mrr@10"]) == {"mrr@10": {"far", "best"}}
    assert "**" not in "".join(to_table(judged, {}, ["mrr@10"])), "without tests nothing is told apart"
    lines = to_table(judged, differences_to_first(judged, ["mrr@10"], resamples=0), ["mrr@10"])
    assert lines[2] == "| mrr@10 | 0.0000 | **0.8889** p=0.008 | **1.0000** p=0.008 |"


def test_nothing_is_bold_where_nothing_is_told_apart():
    judged = {"a": judged_as([0.0, 0.5]), "b": judged_as([1.0, 0.5])}
    assert "**" not in "".join(to_table(judged, differences_to_first(judged, ["mrr@10"]), ["mrr@10"]))


def test_the_table_by_hand():
    first = Judged(("q", "r"), {"hit@1": np.array([0.0, 1.0])}, {"hit@1": Interval(0.25, 0.75)}, 0)
    second = Judged(("q", "r"), {"hit@1": np.array([1.0, 1.0])}, {"hit@1": None}, 0)
    differences = {
        "a|b": {"hit@1": Difference(0.5, None, 0.01, 0.02)},
        "c": {"hit@1": Difference(0.5, None, 0.0001, 0.0002)},
    }
    lines = to_table({"ours": first, "a|b": second, "c": second}, differences, ["hit@1"])
    assert lines[:3] == [
        "|  | ours | a\\|b | c |",
        "|---|---:|---:|---:|",
        "| hit@1 | 0.5000 (0.250\N{EN DASH}0.750) | **1.0000** p=0.020 | **1.0000** p<0.001 |",
    ]
    assert lines[4:] == [
        "Means of 2 queries, in brackets 95 % intervals over queries.",
        "p: how often as large a difference to ours comes by chance (paired sign-flip test of the mean, two-sided, "
        "adjusted by Holm for the 2 tests of the table). Bold: the best of a row, and what the same test does not "
        "tell apart from it (p of 0.05 or more).",
    ]
    told = to_dict({"ours": first, "c": second}, differences)
    assert "difference_to_first" not in told["ours"]["metrics"]["hit@1"]
    assert told["c"]["metrics"]["hit@1"] == {
        "mean": 1.0,
        "interval": None,
        "difference_to_first": {"mean": 0.5, "interval": None, "p_value": 0.0001, "p_holm": 0.0002},
    }
    assert to_table({"c": second}, {}, ["hit@1"])[4:] == ["Means of 2 queries."]


def test_p_to_the_best_is_adjusted_by_hand():
    # few differ from best in 3 of 3 the same way, 2 of 2^3 (.25); far in 6 of 6, 2 of 2^6 (.03125), times 2
    judged = {"few": judged_as([0, 0, 0, 1, 1, 1]), "far": judged_as([0] * 6), "best": judged_as([1] * 6)}
    assert p_to_best(judged, ["mrr@10"]) == {"mrr@10": {"few": 0.25, "far": 0.0625}}
    assert p_to_best(judged, ["mrr@10"], differences_to_first(judged, ["mrr@10"])) == p_to_best(judged, ["mrr@10"])
