"""Every quality number worked by hand, against scikit-learn, and against the obvious double loop."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import hypergeom
from sklearn.metrics import adjusted_mutual_info_score

from lmindexer.ids import quality
from lmindexer.ids.table import IdTable

code_matrices = hnp.arrays(np.int32, st.tuples(st.integers(2, 25), st.integers(1, 3)), elements=st.integers(0, 2))


def test_perplexity_by_hand():
    assert quality.perplexity(np.array([0, 1, 2, 3]), 8) == pytest.approx(4)  # four codes in equal use
    assert quality.perplexity(np.array([5, 5, 5]), 8) == pytest.approx(1)
    expected = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert quality.perplexity(np.array([0, 0, 0, 1]), 2) == pytest.approx(expected)
    assert math.isnan(quality.perplexity(np.array([], dtype=np.int32), 8))


def test_used_share_by_hand():
    assert quality.used_share(np.array([0, 0, 3]), 8) == 2 / 8


def test_gini_by_hand():
    assert quality.gini(np.array([0, 1, 2, 3]), 4) == 0
    assert quality.gini(np.array([2, 2, 2]), 4) == pytest.approx(3 / 4)
    # counts 1 and 3: mean absolute difference over all four pairs = (0 + 2 + 2 + 0) / 4 = 1; over 2 x mean 2
    assert quality.gini(np.array([0, 1, 1, 1]), 2) == pytest.approx(1 / 4)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_gini_is_half_the_relative_mean_difference(codes: list[int]):
    counts = [codes.count(code) for code in range(6)]
    difference = sum(abs(a - b) for a in counts for b in counts) / 36
    assert quality.gini(np.array(codes), 6) == pytest.approx(difference / (2 * len(codes) / 6))


def test_buckets_by_hand():
    codes = np.array([[1, 1], [1, 1], [1, 2], [0, 2], [0, 2], [0, 2]])
    assert sorted(quality.bucket_sizes(codes).tolist()) == [1, 2, 3]
    assert quality.share_in_buckets_of_at_most(codes, 1) == pytest.approx(1 / 6)
    assert quality.share_in_buckets_of_at_most(codes, 2) == pytest.approx(3 / 6)
    assert quality.share_in_buckets_of_at_most(codes, 3) == 1


def test_difference_ratio_by_hand():
    before = np.array([[7], [7], [7], [2], [2], [5]])  # 3 pairs share 7, one shares 2
    after = np.array([0, 1, 2, 4, 4, 0])  # of which 3 and 0 differ
    assert quality.difference_ratio(before, after) == pytest.approx(3 / 4)
    assert math.isnan(quality.difference_ratio(np.array([[1], [2]]), np.array([0, 0])))


def test_label_ids_by_hand():
    labels = [("Hair", "Shampoo"), ("Nails",), ("Hair", "Combs"), (), ("Hair", "Shampoo")]
    assert quality.label_ids(labels, 1).tolist() == [0, 1, 0, -1, 0]
    assert quality.label_ids(labels, 2).tolist() == [0, 1, 2, -1, 0]
    assert quality.label_ids(labels, None).tolist() == [0, 1, 2, -1, 0]


def test_ami_by_hand():
    labels = np.array([0, 0, 1, 1])
    assert quality.ami(labels, np.array([5, 5, 3, 3])) == pytest.approx(1)
    # crossed: MI = 0. By chance the four can match (1 in 3, MI = ln 2) or cross: expected = ln 2 / 3
    assert quality.ami(labels, np.array([0, 1, 0, 1])) == pytest.approx((0 - 1 / 3) / (1 - 1 / 3))
    assert quality.ami(labels, np.zeros(4, dtype=int)) == 0
    assert math.isnan(quality.ami(np.array([-1, -1]), np.array([0, 1])))


def test_ami_leaves_documents_without_label_out():
    labels, clusters = np.array([0, -1, 0, 1, -1, 1]), np.array([0, 0, 0, 1, 1, 0])
    there = labels >= 0
    assert quality.ami(labels, clusters) == pytest.approx(adjusted_mutual_info_score(labels[there], clusters[there]))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=60))
def test_ami_equals_scikit_learn(pairs: list[tuple[int, int]]):
    labels, clusters = np.array(pairs).T
    assert quality.ami(labels, clusters) == pytest.approx(adjusted_mutual_info_score(labels, clusters), abs=1e-7)


@pytest.mark.parametrize("spread", [3, 1000])
def test_ami_equals_scikit_learn_on_skewed_sizes(spread: int):
    random = np.random.default_rng(0)
    labels = random.zipf(1.5, 5000) % 300
    clusters = (labels + random.zipf(1.5, 5000) % 20) % spread
    assert quality.ami(labels, clusters) == pytest.approx(adjusted_mutual_info_score(labels, clusters), abs=1e-7)


def test_ami_of_all_documents_alone_is_a_perfect_match():
    assert quality.ami(np.arange(50), np.arange(50)) == 1


def test_hierarchical_precision_by_hand():
    labels = np.array([0, 0, 1, -1, 1])
    codes = np.array([[3, 0], [3, 0], [3, 1], [3, 0], [4, 0]])
    assert quality.hierarchical_precision(labels, codes, 0) == pytest.approx(2 / 6)
    assert quality.hierarchical_precision(labels, codes, 1) == pytest.approx(1 / 3)
    assert quality.hierarchical_precision(labels, codes, 2) == 1
    assert math.isnan(quality.hierarchical_precision(labels[3:], codes[3:], 1))


def test_neighbour_recall_by_hand():
    codes = np.array([[0, 0], [0, 1], [1, 0]])
    neighbours = np.array([[1, 2], [0, 2], [0, -1]])  # document 2 has one neighbour only
    assert quality.neighbour_recall(neighbours, codes, 1) == pytest.approx(2 / 5)
    assert quality.neighbour_recall(neighbours, codes, 2) == 0


def test_neighbours_found_by_hand():
    codes = np.array([[0, 0], [0, 1], [1, 0]])
    found, there = quality.neighbours_found(np.array([[1, 2], [0, 2], [0, -1]]), codes, 1)
    assert (found.tolist(), there.tolist()) == ([1, 1, 0], [2, 2, 1])


@pytest.mark.parametrize(("a", "b", "N"), [(1, 1, 2), (3, 4, 10), (900, 800, 1000), (5000, 7000, 50_000)])
def test_information_by_chance_is_the_mean_over_the_hypergeometric(a: int, b: int, N: int):
    both = np.arange(max(1, a + b - N), min(a, b) + 1)
    expected = hypergeom(N, a, b).pmf(both) @ (both / N * np.log(N * both / (a * b)))
    found = quality.information_by_chance(a, b, quality.log_factorials(N))
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-12)


@given(code_matrices, st.data())
def test_exact_pair_counts_equal_the_double_loop(codes: np.ndarray, data: st.DataObject):
    N, T = codes.shape
    labels = np.array(data.draw(st.lists(st.integers(-1, 2), min_size=N, max_size=N)))
    pairs = [(a, b) for a, b in itertools.combinations(range(N), 2)]
    before, after = codes[:, : T - 1], codes[:, T - 1]

    shared = [(a, b) for a, b in pairs if (before[a] == before[b]).all()]
    different = sum(after[a] != after[b] for a, b in shared)
    ratio = quality.difference_ratio(before, after)
    assert ratio == pytest.approx(different / len(shared)) if shared else math.isnan(ratio)

    together = [(a, b) for a, b in pairs if (codes[a] == codes[b]).all() and min(labels[a], labels[b]) >= 0]
    precise = sum(labels[a] == labels[b] for a, b in together)
    precision = quality.hierarchical_precision(labels, codes, T)
    assert precision == pytest.approx(precise / len(together)) if together else math.isnan(precision)


def test_measure_by_hand():
    table = IdTable.empty("abcdef").append(np.array([0, 0, 0, 1, 1, 1]), 4).append(np.array([1, 1, 2, 0, 1, 2]), 3)
    labels = [("Hair", "Combs"), ("Hair", "Combs"), ("Hair", "Oil"), ("Nails",), ("Nails",), ()]
    neighbours = np.array([[1], [0], [0], [4], [0], [-1]])
    report = quality.measure(table, labels, neighbours)
    first, second = report.positions
    assert (first.size, first.used_share, first.perplexity) == (4, 0.5, pytest.approx(2))
    assert first.difference_ratio == pytest.approx(9 / 15)  # at the first position all pairs share the empty path
    assert second.difference_ratio == pytest.approx(5 / 6)
    assert (report.documents, report.sharing, report.largest_bucket) == (6, 2, 2)
    assert report.bucket_histogram == {1: 4, 2: 1}
    assert report.share_in_small_buckets == 1
    level, leaf = report.labels
    assert (level.level, level.distinct, level.labelled) == (1, 2, 5)
    assert level.ami[0] == pytest.approx(1)
    assert (leaf.level, leaf.distinct) == (None, 3)
    assert leaf.hierarchical_precision == (pytest.approx(2 / 4), 1)
    assert leaf.precision_by_chance == pytest.approx(2 / 10)
    assert report.neighbour_recall == (pytest.approx(4 / 5), pytest.approx(2 / 5))


@pytest.mark.parametrize("N", [0, 1, 3])
def test_report_is_json_even_of_almost_nothing(N: int):
    table = IdTable.empty(str(row) for row in range(N)).append(np.arange(N), 4).with_suffix()
    report = quality.measure(table, [("a",)] * N).to_dict()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["labels"] == []  # one label for all says nothing
    assert report["neighbour_recall"] == []


def test_report_names_the_levels():
    table = IdTable.empty("abc").append(np.array([0, 0, 1]), 2)
    report = quality.measure(table, [("x", "y"), ("x", "z"), ("w",)]).to_dict()
    assert [label["level"] for label in report["labels"]] == [1, "leaf"]
