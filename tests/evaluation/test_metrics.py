"""Metrics by hand, as trec_eval has them on random judgements, and what must always hold of them."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import mean_intervals
from lmindexer.evaluation.metrics import (
    METRICS,
    Judged,
    Metric,
    judge,
    mean_of,
    parse_metric,
    parse_metrics,
)
from lmindexer.evaluation.trec import read_qrels, write_run

ALL = [f"{name}@1,3,10" for name in METRICS]
documents = st.integers(0, 15)
rankings = st.lists(documents, unique=True, max_size=12)
judgements = st.dictionaries(documents, st.integers(-1, 3), max_size=8).filter(
    lambda grades: max([0, *grades.values()])
)


def values_of(ranked: list[Any], relevant: dict[Any, float], *metrics: str, level: float = 0.0) -> dict[str, float]:
    """Of a single query."""
    judged = judge(["q"], [ranked], [relevant], parse_metrics(metrics), level=level)
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


def test_from_a_level_on_documents_are_relevant_and_ndcg_takes_the_grades_by_hand():
    relevant = {"a": 1, "b": 2, "c": 3, "d": 2}
    ranked = ["a", "b", "x", "c"]  # relevant from 2 on at ranks 2 and 4; d is never found
    expected = {
        "recall@1": 0, "recall@4": 2 / 3, "precision@2": 1 / 2, "hit@1": 0, "mrr@4": 1 / 2,
        "map@4": (1 / 2 + 2 / 4) / 3,
        "ndcg@2": (1 + 2 / np.log2(3)) / (3 + 2 / np.log2(3)),
    }  # fmt: skip
    assert values_of(ranked, relevant, *expected, level=2) == pytest.approx(expected)
    assert values_of(ranked, {"a": 0.25, "b": 0.5}, "recall@1", level=0.5) == {"recall@1": 0}
    assert values_of(ranked, {"a": 0.25, "b": 0.5}, "recall@1") == {"recall@1": 0.5}, "any grade above 0"


trec_eval_names = {
    "recall": "recall", "ndcg": "ndcg_cut", "map": "map_cut", "precision": "P", "hit": "success", "mrr": "recip_rank",
}  # fmt: skip
names_of_documents = st.integers(0, 15).map("d{}".format)
graded = st.dictionaries(names_of_documents, st.integers(-2, 3), min_size=1, max_size=10).filter(
    lambda grades: max(grades.values()) >= 0  # pytrec_eval crashes where all are below
)
found_with_scores = st.dictionaries(names_of_documents, st.sampled_from([0.5, 1.0, 2.5]), max_size=12)


@given(st.lists(st.tuples(graded, found_with_scores), min_size=1, max_size=5), st.sampled_from([1, 2, 3]))
def test_it_agrees_with_trec_eval_on_files(
    tmp_path_factory: pytest.TempPathFactory, queries: list[tuple[dict[str, int], dict[str, float]]], level: int
):
    """Graded and negative judgements, documents nobody finds, ties, lists of any length, queries without relevant."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    folder = tmp_path_factory.mktemp("trec")
    lines = [f"q{q} 0 {d} {grade}" for q, (grades, _) in enumerate(queries) for d, grade in grades.items()]
    (folder / "qrels").write_text("\n".join(lines))
    (folder / "qrels.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "\n".join("\t".join(np.array(line.split())[[0, 2, 3]]) for line in lines * 2)
    )
    ranked = {f"q{q}": sorted(found.items(), key=lambda hit: -hit[1]) for q, (_, found) in enumerate(queries)}
    write_run(folder / "run", ranked)
    qrels = read_qrels(folder / "qrels")
    assert qrels == read_qrels(folder / "qrels.tsv"), "as BEIR writes them, each line twice"
    with (folder / "run").open() as run_file, (folder / "qrels").open() as qrels_file:
        run, theirs = pytrec_eval.parse_run(run_file), pytrec_eval.parse_qrel(qrels_file)
    metrics = parse_metrics([f"{name}@1,5,10" for name in METRICS])
    lists = [[doc_id for doc_id, _ in ranked[q]] for q in qrels]
    if not any(grade >= level for grades in qrels.values() for grade in grades.values()):
        with pytest.raises(InputError, match="has a relevant document"):
            judge(list(qrels), lists, list(qrels.values()), metrics, level=level)
        return
    judged = judge(list(qrels), lists, list(qrels.values()), metrics, level=level, resamples=0)
    measures = {f"{name}.1,5,10" if name != "recip_rank" else name for name in trec_eval_names.values()}
    evaluated = pytrec_eval.RelevanceEvaluator(theirs, measures, relevance_level=level).evaluate(run)
    assert judged.query_ids == tuple(qrels)
    assert set(evaluated) == {q for q in qrels if ranked[q]}
    for metric in metrics:
        for q, value in zip(judged.query_ids, judged.values[str(metric)], strict=True):
            if q not in evaluated:  # trec_eval -c counts what was not found as 0
                assert value == 0
            elif metric.name == "mrr":
                whole = evaluated[q]["recip_rank"]  # trec_eval looks at all ranks
                assert value == pytest.approx(whole if whole >= 1 / metric.k - 1e-9 else 0, abs=1e-6)
            else:
                assert value == pytest.approx(evaluated[q][f"{trec_eval_names[metric.name]}_{metric.k}"], abs=1e-6)


def test_means_agree_with_ir_measures():
    """A query that found nothing, and one to which nothing is relevant, are in the mean."""
    pytest.importorskip("pytrec_eval")  # which ir_measures asks
    measures = pytest.importorskip("ir_measures")
    names = {"recall": "R", "map": "AP", "mrr": "RR", "precision": "P", "hit": "Success"}
    qrels = {"a": {"d1": 2, "d2": 1, "gone": 3}, "b": {"d1": 0, "d2": -1}, "c": {"d3": 2}, "d": {"d4": 1, "d5": 2}}
    run = {"a": ["d9", "d2", "d1"], "b": ["d1"], "c": [], "d": ["d4", "d5"]}
    scores = {q: {document: -float(rank) for rank, document in enumerate(ranked)} for q, ranked in run.items()}
    judged = judge(list(qrels), list(run.values()), list(qrels.values()), parse_metrics(
        [f"{name}@1,2,10" for name in METRICS]), level=2)  # fmt: skip
    theirs = {f"{name}@{k}": measures.parse_measure(f"{names[name]}(rel=2)@{k}") for name in names for k in (1, 2, 10)}
    theirs |= {f"ndcg@{k}": measures.parse_measure(f"nDCG@{k}") for k in (1, 2, 10)}
    means = measures.calc_aggregate(list(theirs.values()), qrels, scores)
    assert judged.means == pytest.approx({metric: means[measure] for metric, measure in theirs.items()}, abs=1e-6)
    assert judged.without_relevant == 1


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


def test_queries_to_which_nothing_is_relevant_count_as_0_and_are_told():
    judged = judge(["p", "q", "r"], [["a"], ["a"], []], [{"a": 1}, {"a": 0}, {"b": 1}], parse_metrics(["recall@1"]))
    assert judged.query_ids == ("p", "q", "r")
    assert judged.means == {"recall@1": pytest.approx(1 / 3)}
    assert judged.notes == ("1 of 3 queries have no relevant document and count as 0, as in trec_eval",)
    with pytest.raises(InputError, match="none of 1 queries has a relevant document; there is nothing"):
        judge(["q"], [["a"]], [{}], parse_metrics(["recall@1"]))
    with pytest.raises(InputError, match="none of 1 queries has a relevant document: the highest grade is 1, below 2;"):
        judge(["q"], [["a"]], [{"a": 1, "b": -1}], parse_metrics(["recall@1"]), level=2)


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


def test_every_metric_has_the_interval_of_its_mean():
    lists = [["a"] if n % 2 else ["b", "a"] for n in range(30)]
    judged = judge([str(n) for n in range(30)], lists, [{"a": 1}] * 30, parse_metrics(["hit@1,2"]), resamples=50)
    values = np.array([[n % 2, 1] for n in range(30)], float)
    assert list(judged.intervals.values()) == mean_intervals(values, (0, 1), 50, 0)
    unasked = judge(["q"], [["a"]], [{"a": 1}], parse_metrics(["hit@1"]), resamples=0)
    assert unasked.to_dict()["metrics"] == {"hit@1": {"mean": 1.0, "interval": None}}
    assert "| hit@1 | 1.0000 | - |" in unasked.to_markdown()


def test_the_table_and_json_by_hand():
    ids = [str(n) for n in range(30)]
    lists = [["a"] if n % 2 else [] for n in range(30)]
    judged = judge(ids, lists, [*[{"a": 1}] * 29, {}], parse_metrics(["hit@1"]), seed=1)
    interval = judged.intervals["hit@1"]
    assert interval is not None
    assert judged.to_markdown() == (
        "| metric | mean | 95% interval |\n|---|---:|---:|\n"
        f"| hit@1 | {14 / 30:.4f} | {interval.low:.4f}\N{EN DASH}{interval.high:.4f} |\n\n"
        "Means of 30 queries. 1 of 30 queries have no relevant document and count as 0, as in trec_eval.\n"
    )
    assert json.loads(json.dumps(judged.to_dict())) == {
        "queries": 30,
        "metrics": {"hit@1": {"mean": 14 / 30, "interval": [interval.low, interval.high]}},
        "notes": list(judged.notes),
    }


def test_some_of_the_queries_and_the_mean_over_seeds():
    one = Judged.of("abc", {"recall@1": np.array([1.0, 0.0, 1.0])})
    other = Judged.of("abc", {"recall@1": np.array([0.0, 0.0, 1.0])})
    assert one.of_queries({"b", "c"}).query_ids == ("b", "c")
    assert one.of_queries({"b", "c"}).means == {"recall@1": 0.5}
    both = mean_of([one, other])
    assert both.values["recall@1"].tolist() == [0.5, 0.0, 1.0]
    assert both.intervals["recall@1"] is not None
    assert mean_of([one]) is one
    with pytest.raises(InputError, match="not asked the same queries"):
        mean_of([one, other.of_queries({"a"})])
