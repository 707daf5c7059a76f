"""Metrics by hand, as trec_eval has them on random judgements, and what must always hold of them."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import (
    METRICS,
    Metric,
    judge,
    mean_intervals,
    parse_metric,
    parse_metrics,
)

ALL = [f"{name}@1,3,10" for name in METRICS]
documents = st.integers(0, 15)
rankings = st.lists(documents, unique=True, max_size=12)
judgements = st.dictionaries(documents, st.integers(-1, 3), max_size=8).filter(
    lambda grades: max([0, *grades.values()])
)


def values_of(ranked: list[Any], relevant: dict[Any, float], *metrics: str) -> dict[str, float]:
    """Of a single query."""
    judged = judge(["q"], [ranked], [relevant], parse_metrics(metrics))
    return {metric: values.item() for metric, values in judged.values.items()}


def test_one_query_by_hand():
    relevant = {"a": 2, "b": 1, "c": 1, "no": 0, "worse": -1}
    ranked = ["x", "a", "no", "b", "worse"]  # relevant at ranks 2 and 4; c is never found
    found = 2 / np.log2(3) + 1 / np.log2(5)
    ideal = 2 + 1 / np.log2(3) + 1 / np.log2(4)
    expected = {
        "recall@1": 0, "recall@2": 1 / 3, "recall@4": 2 / 3, "recall@10": 2 / 3,
        "precision@2": 1 / 2, "precision@10": 2 / 10, "hit@1": 0, "hit@2": 1, "mrr@1": 0, "mrr@3": 1 / 2,
        "map@2": (1 / 2) / 3, "map@10": (1 / 2 + 2 / 4) / 3,
        "ndcg@1": 0, "ndcg@2": 2 / np.log2(3) / (2 + 1 / np.log2(3)), "ndcg@10": found / ideal,
    }  # fmt: skip
    assert values_of(ranked, relevant, *expected) == pytest.approx(expected)


def test_average_precision_is_divided_by_all_relevant_not_by_the_rank():
    relevant = dict.fromkeys("abcd", 1)
    assert values_of(["a"], relevant, "map@1") == {"map@1": 1 / 4}


def test_rows_do_as_well_as_ids():
    assert values_of([7, 3], {3: 1}, "mrr@10") == {"mrr@10": 1 / 2}


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_trec_eval(seed: int):
    pytest.importorskip("pytrec_eval")  # which ir_measures asks
    measures = pytest.importorskip("ir_measures")
    names = {"recall": "R", "ndcg": "nDCG", "map": "AP", "mrr": "RR", "precision": "P", "hit": "Success"}
    random = np.random.default_rng(seed)
    ids = [f"d{n}" for n in range(40)]
    qrels, run = {}, {}
    for q in range(30):
        judged = random.choice(ids, random.integers(1, 25), replace=False).tolist()
        grades = [int(random.integers(1, 4)), *random.integers(-1, 4, len(judged) - 1).tolist()]
        qrels[f"q{q}"] = dict(zip(judged, grades, strict=True))
        run[f"q{q}"] = random.permutation(ids)[: random.integers(0, 30)].tolist()  # fewer than k, or none at all
    metrics = parse_metrics([f"{name}@1,5,10,20" for name in METRICS])
    judged = judge(list(qrels), list(run.values()), list(qrels.values()), metrics)
    scores = {q: {document: -float(rank) for rank, document in enumerate(ranked)} for q, ranked in run.items()}
    theirs = {measures.parse_measure(f"{names[metric.name]}@{metric.k}"): metric for metric in metrics}
    compared = 0
    for each in measures.iter_calc(list(theirs), qrels, scores):
        q = judged.query_ids.index(each.query_id)
        assert judged.values[str(theirs[each.measure])][q] == pytest.approx(each.value, abs=1e-6), each
        compared += 1
    assert compared == len(metrics) * len(judged.query_ids)


@given(rankings, judgements)
def test_every_metric_lies_between_0_and_1_and_most_rise_with_the_rank(ranked: list[int], relevant: dict[int, int]):
    values = values_of(ranked, relevant, *ALL)
    assert all(0 <= value <= 1 + 1e-12 for value in values.values())
    for name in ("recall", "map", "mrr", "hit"):
        assert values[f"{name}@1"] <= values[f"{name}@3"] <= values[f"{name}@10"]


@given(judgements)
def test_nothing_beats_all_relevant_documents_by_falling_grade(relevant: dict[int, int]):
    best = sorted((each for each in relevant if relevant[each] > 0), key=lambda each: -relevant[each])
    values = values_of(best, relevant, *ALL)
    for name, k in itertools.product(("ndcg", "mrr", "hit"), (1, 3, 10)):
        assert values[f"{name}@{k}"] == pytest.approx(1)
    for name in ("recall", "map"):
        assert values[f"{name}@10"] == pytest.approx(1)


@given(st.lists(st.tuples(rankings, judgements), min_size=1, max_size=6))
def test_all_queries_at_once_are_as_one_by_one(queries: list[tuple[list[int], dict[int, int]]]):
    ids = [str(n) for n in range(len(queries))]
    judged = judge(ids, [ranked for ranked, _ in queries], [grades for _, grades in queries], parse_metrics(ALL))
    for q, (ranked, relevant) in enumerate(queries):
        alone = values_of(ranked, relevant, *ALL)
        assert {metric: values[q] for metric, values in judged.values.items()} == pytest.approx(alone)


def test_a_document_counts_once():
    with pytest.raises(ValueError, match="document 'a' is ranked twice for query 'q'"):
        values_of(["a", "b", "a"], {"a": 1}, "recall@10")


def test_queries_to_which_nothing_is_relevant_are_left_out_and_told():
    judged = judge(["p", "q", "r"], [["a"], ["a"], []], [{"a": 1}, {"a": 0}, {"b": 1}], parse_metrics(["recall@1"]))
    assert judged.query_ids == ("p", "r")
    assert judged.means == {"recall@1": 0.5}
    assert judged.notes == ("1 of 3 queries have no relevant document and are left out, not counted as 0",)
    with pytest.raises(InputError, match="none of 1 queries has a relevant document"):
        judge(["q"], [["a"]], [{}], parse_metrics(["recall@1"]))


def test_metrics_as_the_command_line_has_them():
    assert parse_metric("NDCG@10") == Metric("ndcg", 10)
    found = parse_metrics(["recall@1,5,10", "mrr@10", "recall@5"])
    assert [str(metric) for metric in found] == ["recall@1", "recall@5", "recall@10", "mrr@10"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("recal@10", "'recal@10' is no metric; the known ones are recall@10, ndcg@10, map@10, mrr@10"),
        ("recall", "needs a rank"),
        ("recall@", "needs a rank"),
        ("recall@0", "needs a rank"),
        ("recall@-5", "needs a rank"),
        ("recall@5,,10", "needs a rank"),
        ("@10", "is no metric"),
    ],
)
def test_wrong_metrics_are_refused(text: str, told: str):
    with pytest.raises(InputError, match=told):
        parse_metrics([text])


def test_no_metric_is_refused():
    with pytest.raises(InputError, match="no metric was named"):
        parse_metrics([])


def test_the_interval_is_that_of_a_mean():
    values = np.random.default_rng(1).random((400, 2))
    wide, _ = mean_intervals(values, 4000, 0)
    assert wide is not None
    error = 1.96 * values[:, 0].std() / 20
    assert wide.low == pytest.approx(values[:, 0].mean() - error, abs=0.05 * error)
    assert wide.high == pytest.approx(values[:, 0].mean() + error, abs=0.05 * error)
    assert mean_intervals(values, 100, 3) == mean_intervals(values, 100, 3)
    assert mean_intervals(values, 100, 3) != mean_intervals(values, 100, 4)


def test_no_interval_where_nothing_can_be_said():
    assert mean_intervals(np.random.default_rng(0).random((19, 1)), 100, 0) == [None]
    assert mean_intervals(np.ones((50, 1)), 100, 0) == [None]
    assert mean_intervals(np.random.default_rng(0).random((50, 2)), 0, 0) == [None, None]


def test_the_table_and_json_by_hand():
    ids = [str(n) for n in range(30)]
    judged = judge(
        [*ids, "x"],
        [["a"] if n % 2 else [] for n in range(31)],
        [*[{"a": 1}] * 30, {}],
        parse_metrics(["hit@1"]),
        seed=1,
    )
    interval = judged.intervals["hit@1"]
    assert interval is not None
    assert judged.to_markdown() == (
        "| metric | mean | 95% interval |\n|---|---:|---:|\n"
        f"| hit@1 | 0.5000 | {interval.low:.4f}\N{EN DASH}{interval.high:.4f} |\n\n"
        "Means of 30 queries. 1 of 31 queries have no relevant document and are left out, not counted as 0.\n"
    )
    assert json.loads(json.dumps(judged.to_dict())) == {
        "queries": 30,
        "metrics": {"hit@1": {"mean": 0.5, "interval": [interval.low, interval.high]}},
        "notes": list(judged.notes),
    }
    assert judge(["q"], [["a"]], [{"a": 1}], parse_metrics(["hit@1"])).to_dict()["metrics"] == {
        "hit@1": {"mean": 1.0, "interval": None}
    }
