"""The interval of means: Jeffreys' where cases are 0 or 1, and whether it holds what it promises."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from lmindexer.evaluation.bootstrap import BLOCK, Interval, mean_intervals

ROOT = Path(__file__).parent.parent.parent


def interval_of(values: list[float] | np.ndarray, bounds: tuple[float, float] = (0, 1), seed: int = 0) -> Interval:
    (interval,) = mean_intervals(np.array(values, float)[:, None], bounds, 20_000, seed)
    assert interval is not None
    return interval


@pytest.mark.parametrize(("hits", "n"), [(1, 20), (3, 41), (20, 41), (40, 41), (1, 1), (5, 300)])
def test_of_hits_and_misses_it_is_that_of_jeffreys(hits: int, n: int):
    found = interval_of([1.0] * hits + [0.0] * (n - hits))
    expected = beta.ppf([0.025, 0.975], hits + 0.5, n - hits + 0.5)
    assert found.low == pytest.approx(expected[0], abs=0.01)
    assert found.high == (1.0 if hits == n else pytest.approx(expected[1], abs=0.01))


def test_where_all_cases_are_alike_it_still_says_how_few_they_are():
    none, all_ = interval_of([0.0] * 20), interval_of([1.0] * 20)
    assert none == Interval(0.0, pytest.approx(beta.ppf(0.975, 0.5, 20.5), abs=0.01))
    assert all_ == Interval(pytest.approx(1 - none.high, abs=0.01), 1.0)
    assert interval_of([0.0] * 300).high < none.high / 10
    half = interval_of([0.5] * 20)
    assert 0.4 < half.low < 0.5 < half.high < 0.6
    same = interval_of([0.0] * 20, (-1, 1))
    assert same.has_zero
    assert -0.2 < same.low < 0 < same.high < 0.2


def test_of_many_cases_it_is_that_of_a_mean():
    values = np.random.default_rng(1).random((4000, 2))
    first, second = mean_intervals(values, (0, 1), 4000, 0)
    assert first is not None
    assert first != second
    error = 1.96 * values[:, 0].std() / 4000**0.5
    assert first.low == pytest.approx(values[:, 0].mean() - error, abs=0.06 * error)
    assert first.high == pytest.approx(values[:, 0].mean() + error, abs=0.06 * error)
    assert mean_intervals(values, (0, 1), 100, 3) == mean_intervals(values, (0, 1), 100, 3)
    assert mean_intervals(values, (0, 1), 100, 3) != mean_intervals(values, (0, 1), 100, 4)


def test_a_ratio_of_sums_counts_each_case_by_its_size():
    """A case of size 3 with 2 found is not three cases: its interval is wider than that of its parts, 1, 1 and 0."""
    sizes = np.array([1, 3] * 50)
    (ratio,) = mean_intervals(np.array([0, 3] * 50)[:, None], (0, 1), 4000, 0, sizes)
    (mean,) = mean_intervals(np.array([0, 1] * 50)[:, None], (0, 1), 4000, 0)
    assert ratio is not None
    assert mean is not None
    assert ratio.low < 0.75 < ratio.high
    assert mean.low < 0.5 < mean.high
    parts = interval_of([0.0] * 50 + [1.0] * 150)
    assert ratio.high - ratio.low > 1.1 * (parts.high - parts.low)
    assert mean_intervals(np.array([[3.0], [1.0]]), (0, 1), 50, 0, np.array([3, 1]))[0] == Interval(
        pytest.approx(0.4, abs=0.3), 1.0
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 3))
def test_it_lies_in_the_bounds_around_the_mean(values: list[float], seed: int):
    (found,) = mean_intervals(np.array(values)[:, None], (0, 1), 50, seed)
    assert found is not None
    assert -1e-12 <= found.low <= np.mean(values) <= found.high <= 1 + 1e-12


def test_nothing_is_told_of_no_cases_or_without_resamples():
    assert mean_intervals(np.zeros((0, 1)), (0, 1), 100, 0) == [None]
    assert mean_intervals(np.random.default_rng(0).random((50, 2)), (0, 1), 0, 0) == [None, None]


def test_weights_are_drawn_in_blocks_that_fit_the_memory():
    values = np.random.default_rng(0).random((BLOCK // 3, 1))
    (found,) = mean_intervals(values, (0, 1), 7, 0)
    assert found is not None
    assert found.low < values.mean() < found.high


@pytest.mark.parametrize("n", [20, 41])
@pytest.mark.parametrize(
    "name", ["hits, p = 0.05", "hits, p = 0.9", "ndcg, found 0.1", "mrr, found 0.7", "recall, mostly high"]
)
def test_it_holds_the_truth_19_times_in_20(n: int, name: str, monkeypatch: pytest.MonkeyPatch):
    """The percentile bootstrap of before holds it .63 to .95 times (bench/coverage.py has more, and with 300 cases)."""
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.coverage import METRICS, bayesian, coverage

    share, _ = coverage(METRICS[name], (0, 1), n, bayesian, samples=600, resamples=400)
    assert 0.92 <= share <= 0.99


@pytest.mark.parametrize("name", ["+1 0.1, -1 0.05", "ndcg less ndcg"])
def test_of_differences_it_holds_the_truth_19_times_in_20(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.coverage import DIFFERENCES, bayesian, coverage

    share, _ = coverage(DIFFERENCES[name], (-1, 1), 41, bayesian, samples=600, resamples=400)
    assert 0.92 <= share <= 0.98


def test_the_table_of_coverage_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import coverage

    monkeypatch.setattr(coverage, "POPULATION", 1000)
    monkeypatch.setattr(sys, "argv", ["coverage", "--n", "5", "--samples", "4", "--resamples", "10"])
    coverage.main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(coverage.METRICS) + len(coverage.DIFFERENCES)
    assert lines[0].count("|") == lines[2].count("|") == 3 + len(coverage.METHODS)
