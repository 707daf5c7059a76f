"""Intervals: the quick counts against plain ones, and whether they hold what they promise."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.evaluation.bootstrap import Interval
from lmindexer.evaluation.halves import (
    ChanceInformation,
    halves,
    interval,
    label_replicates,
    precision_scale,
)
from lmindexer.ids.quality import ami, hierarchical_precision
from lmindexer.ids.table import path_ids


def dense(numbers: np.ndarray) -> np.ndarray:
    return path_ids(np.asarray(numbers)[:, None])


def counts(labels: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.bincount(labels), np.bincount(clusters), np.bincount(path_ids(np.column_stack([labels, clusters])))


def test_halves_hold_no_document_twice_and_are_always_the_same():
    drawn = list(halves(11, 50, seed=3))
    assert all(len(set(rows.tolist())) == 5 for rows in drawn)
    assert {row for rows in drawn for row in rows.tolist()} == set(range(11))
    assert all(np.array_equal(a, b) for a, b in zip(drawn, halves(11, 50, seed=3), strict=True))


def test_interval_by_hand():
    replicates = np.linspace(0.2, 0.4, 201)  # 2.5 % of them below .205, their mean .3
    assert interval(0.5, replicates, 100) == Interval(pytest.approx(0.405), pytest.approx(0.595))
    assert interval(0.5, replicates, 100, scale=0.5) == Interval(pytest.approx(0.4525), pytest.approx(0.5475))
    assert interval(0.95, replicates, 100, bounds=(0, 1)) == Interval(pytest.approx(0.855), 1.0)
    odd = 0.095 * math.sqrt(10 / 11)  # halves of 21 are of 10
    assert interval(0.5, replicates, 21) == Interval(pytest.approx(0.5 - odd), pytest.approx(0.5 + odd))


@pytest.mark.parametrize(
    ("estimate", "replicates", "N"),
    [
        (0.5, np.linspace(0, 1, 100), 19),
        (1.0, np.ones(100), 100),
        (math.nan, np.linspace(0, 1, 100), 100),
        (0.5, np.array([np.nan] * 20 + [0.1, 0.9] * 40), 100),
        (0.5, np.zeros(0), 100),
    ],
    ids=["too few documents", "nothing varies", "no number", "no number in many halves", "no halves"],
)
def test_no_interval_where_nothing_can_be_said(estimate: float, replicates: np.ndarray, N: int):
    assert interval(estimate, replicates, N) is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), min_size=2, max_size=60))
def test_ami_from_counts_equals_ami(pairs: list[tuple[int, int]]):
    labels, clusters = (dense(column) for column in np.array(pairs).T)
    quick = ChanceInformation(len(labels)).ami(*counts(labels, clusters))
    assert quick == pytest.approx(ami(labels, clusters), abs=2e-3)  # so few documents leave little room for AMI


@pytest.mark.parametrize("codes", [3, 128, 4000])
def test_ami_from_counts_equals_ami_on_skewed_sizes(codes: int):
    random = np.random.default_rng(0)
    labels = np.minimum(random.zipf(1.4, 6000), 300)
    clusters = np.where(random.random(6000) < 0.3, labels, random.integers(0, codes, 6000))
    labels, clusters = dense(labels), dense(clusters)
    quick = ChanceInformation(6000).ami(*counts(labels, clusters))
    assert quick == pytest.approx(ami(labels, clusters), abs=5e-5)


def test_label_replicates_are_the_numbers_of_each_half():
    random = np.random.default_rng(0)
    labels = [dense(random.integers(0, size, 81)) for size in (3, 12)]
    prefixes = [dense(random.integers(0, size, 81)) for size in (4, 50)]
    found = label_replicates(labels, prefixes, 5, seed=1)
    for r, rows in enumerate(halves(81, 5, seed=1)):
        for i, j in itertools.product(range(2), range(2)):
            label, prefix = labels[i][rows], prefixes[j][rows]
            assert found.ami[i, j, r] == pytest.approx(ami(label, prefix), abs=2e-3)
            precision = hierarchical_precision(label, prefix[:, None], 1)
            assert found.precision[i, j, r] == pytest.approx(precision, nan_ok=True)


def test_pairs_on_their_own_are_spread_over_halves_by_root_three():
    prefixes = np.repeat(np.arange(200), 2)  # 200 buckets of two
    labels = dense(np.where(np.arange(400) % 4 == 1, 1000, prefixes))  # half of them agree
    assert hierarchical_precision(labels, prefixes[:, None], 1) == 0.5
    assert precision_scale(labels, prefixes) == pytest.approx(1 / math.sqrt(3))
    drawn = label_replicates([labels], [prefixes], 400, seed=0).precision[0, 0]
    assert precision_scale(labels, prefixes) * drawn.std() == pytest.approx(math.sqrt(0.25 / 200), rel=0.15)


@pytest.mark.parametrize("is_difference", [False, True])
def test_precision_scale_equals_the_loop_over_pairs(is_difference: bool):
    random = np.random.default_rng(5)
    labels = dense(np.sort(random.integers(0, 3, 60)))
    prefixes = dense(np.where(random.random(60) < 0.4, labels, 3))  # some say the label, some nothing
    others = dense(random.integers(0, 8, 60))
    by_pair, by_document = [], np.zeros(60)
    sides = [(1, prefixes), (-1, others)] if is_difference else [(1, prefixes)]
    shares = [(sign, groups, (groups[:, None] == groups[None]).sum() - 60) for sign, groups in sides]
    for a, b in itertools.combinations(range(60), 2):
        distance = 0.0
        for sign, groups, twice in shares:
            precision = hierarchical_precision(labels, groups[:, None], 1)
            distance += sign * (groups[a] == groups[b]) * ((labels[a] == labels[b]) - precision) / (twice / 2)
        by_pair.append(distance**2)
        by_document[[a, b]] += distance
    pairs = sum(by_pair)
    documents = max((by_document**2).sum() - 2 * pairs, 0)
    expected = math.sqrt((documents + pairs) / (documents + 3 * pairs))
    assert precision_scale(labels, prefixes, others if is_difference else None) == pytest.approx(expected)
    assert 0.58 < expected < 0.99, "documents count, and pairs too"


def documents(N: int, codes: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, codes of which some are good and some bad, and worse codes."""
    shares = 1 / np.arange(1, codes + 1)
    good = random.choice(codes, N, p=shares / shares.sum())
    is_noise = random.random(N) < 0.1 + 0.2 * (good % 3)
    labels = np.where(is_noise, random.integers(0, 5, N), good % 5)
    worse = np.where(random.random(N) < 0.8, good, random.integers(0, codes, N))
    return dense(labels), dense(good), dense(worse)


@pytest.mark.parametrize(("N", "codes"), [(300, 10), (400, 200)])
def test_intervals_hold_the_truth_about_19_times_in_20(N: int, codes: int):
    """Over 100 samples of documents: the numbers of one run, and its difference to another."""
    random = np.random.default_rng(0)
    estimates, intervals = [], []
    for seed in range(100):
        labels, good, worse = documents(N, codes, random)
        drawn = label_replicates([labels], [good, worse], 80, seed)
        of_ami = [ami(labels, each) for each in (good, worse)]
        of_pairs = [hierarchical_precision(labels, each[:, None], 1) for each in (good, worse)]
        estimates.append([of_ami[0], of_ami[1] - of_ami[0], of_pairs[0], of_pairs[1] - of_pairs[0]])
        ami_of, pairs_of = drawn.ami[0], drawn.precision[0]
        scales = precision_scale(labels, good), precision_scale(labels, worse, good)
        spreads = [(ami_of[0], 1.0), (ami_of[1] - ami_of[0], 1.0)]
        spreads += [(pairs_of[0], scales[0]), (pairs_of[1] - pairs_of[0], scales[1])]
        intervals.append([interval(e, s, N, scale) for e, (s, scale) in zip(estimates[-1], spreads, strict=True)])
    truth = np.mean(estimates, axis=0)
    held = np.array([[i.low <= t <= i.high for i, t in zip(row, truth, strict=True)] for row in intervals])
    assert (held.mean(0) >= 0.88).all(), held.mean(0)  # 95 % less three standard errors
    width = np.mean([[i.high - i.low for i in row] for row in intervals], axis=0) / 3.92
    assert width == pytest.approx(np.std(estimates, axis=0), rel=0.3), "no wider than it has to be"


def test_codes_drawn_by_chance_keep_zero_in_the_interval_of_ami():
    """Where documents drawn twice would agree with themselves: almost all have a path of their own."""
    random = np.random.default_rng(0)
    labels, prefixes = dense(random.integers(0, 40, 1000)), dense(random.integers(0, 4000, 1000))
    drawn = label_replicates([labels], [prefixes], 100, seed=0)
    found = interval(ami(labels, prefixes), drawn.ami[0, 0], 1000)
    assert found is not None
    assert found.has_zero
    twice = np.random.default_rng(1).integers(0, 1000, 1000)
    assert ami(labels[twice], dense(prefixes[twice])) > found.high, "the usual bootstrap is far off"
