"""Evaluations kept in run folders and compared: saved then loaded is the same, and only the same questions compare."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import entries, learned, lmindexer, write_items
from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import Interval
from lmindexer.evaluation.metrics import Judged
from lmindexer.evaluation.significance import difference
from lmindexer.judging.compared import compare_results
from lmindexer.judging.results import load_results, questions_fingerprint, save_results
from lmindexer.runs import Run


def judged_as(*values: float, metric: str = "recall@10", first: str = "q0") -> Judged:
    ids = (first, *(f"q{n}" for n in range(1, len(values))))
    return Judged(ids, {metric: np.array(values)}, {metric: Interval(0.1, 0.9)}, 2)


def run_at(path: Path) -> Path:
    """A finished run of some documents, as far as evaluations look at it."""
    run = Run.create(path, LearnConfig(), {"corpus": {"fingerprint": "some"}})
    run.finish()
    return run.path


def with_other_documents(run: Path) -> Path:
    folder = Run.open(run)
    folder.write_json("run.json", folder.facts | {"corpus": {"fingerprint": "one more"}})
    return run


numbers = st.floats(0, 1)


@settings(max_examples=30)
@given(
    st.dictionaries(st.text(min_size=1), st.tuples(numbers, numbers, st.none() | st.just(7)), min_size=1, max_size=6),
    st.text(min_size=1, max_size=12).filter(lambda split: split.isprintable()),
)
def test_what_was_saved_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, queries: dict[str, tuple[float, float, int | None]], split: str
):
    run = run_at(tmp_path_factory.mktemp("r") / "run")
    ids = tuple(sorted(queries))
    judged = {
        name: Judged(
            ids,
            {m: np.array([queries[q][n] for q in ids]) for m in ("recall@1", "ndcg@10")},
            {"recall@1": None, "ndcg@10": Interval(0.25, 1 / 3)},
            n,
        )
        for n, name in enumerate(("bm25", "generative"))
    }
    save_results(run, "search", split, judged, "asked", {"beams": 20, "weights": [1.0, 2.5]}, depth=7)
    (results,) = load_results(run)
    assert (results.task, results.split, results.questions) == ("search", split, "asked")
    assert results.settings == {name: {"beams": 20, "weights": [1.0, 2.5]} for name in judged}
    assert results.depth == dict.fromkeys(judged, 7)
    assert list(results.judged) == list(judged)
    for name, each in results.judged.items():
        assert (each.query_ids, each.without_relevant) == (ids, judged[name].without_relevant)
        assert each.intervals == judged[name].intervals
        for metric, values in each.values.items():
            np.testing.assert_array_equal(values, judged[name].values[metric])


def test_a_later_evaluation_adds_and_replaces_by_name(tmp_path: Path):
    run = run_at(tmp_path / "run")
    save_results(run, "search", "test", {"a": judged_as(0, 1), "b": judged_as(0, 0)}, "asked", {"beams": 5}, depth=10)
    later = {"b": judged_as(1, 1, metric="mrr@3"), "c": judged_as(1, 0)}
    save_results(run, "search", "test", later, "asked", depth=100)
    save_results(run, "search", "dev", {"a": judged_as(1, 1)}, "asked", depth=10)
    dev, test = load_results(run)
    assert list(dev.judged) == ["a"]
    assert {name: each.means for name, each in test.judged.items()} == {
        "a": {"recall@10": 0.5},
        "b": {"mrr@3": 1.0},
        "c": {"recall@10": 0.5},
    }
    assert test.settings == {"a": {"beams": 5}, "b": {}, "c": {}}
    assert test.depth == {"a": 10, "b": 100, "c": 100}
    assert [name for name in entries(run) if "results" in name] == [
        "results-search-dev.parquet",
        "results-search-test.parquet",
    ]


@pytest.mark.parametrize("changed", ["questions", "documents"])
def test_other_questions_or_documents_replace_what_was_kept(tmp_path: Path, changed: str):
    run = run_at(tmp_path / "run")
    save_results(run, "search", "test", {"a": judged_as(0, 1)}, "asked", depth=10)
    if changed == "documents":
        with_other_documents(run)
    questions = "others" if changed == "questions" else "asked"
    save_results(run, "search", "test", {"b": judged_as(0, 1)}, questions, depth=10)
    (results,) = load_results(run)
    assert list(results.judged) == ["b"]


def test_systems_of_other_queries_are_not_kept_together(tmp_path: Path):
    systems = {"a": judged_as(0), "b": judged_as(0, first="other")}
    with pytest.raises(ValueError, match="b was not asked the queries that the others were"):
        save_results(run_at(tmp_path / "run"), "search", "test", systems, "asked", depth=10)


def test_a_damaged_file_is_named(tmp_path: Path):
    run = run_at(tmp_path / "run")
    (run / "results-search-test.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"results-search-test\.parquet is not an evaluation .*delete it"):
        load_results(run)


def test_the_fingerprint_is_of_the_questions_in_any_order():
    asked = questions_fingerprint(["p", "q"], [{"a": 1, "b": 2}, {"c": 1.0}], ["one", "two"])
    assert asked == questions_fingerprint(["q", "p"], [{"c": 1}, {"b": 2, "a": 1}], ["two", "one"])
    others = [
        questions_fingerprint(["p", "x"], [{"a": 1, "b": 2}, {"c": 1}], ["one", "two"]),
        questions_fingerprint(["p", "q"], [{"a": 1, "b": 1}, {"c": 1}], ["one", "two"]),
        questions_fingerprint(["p", "q"], [{"a": 1}, {"c": 1}], ["one", "two"]),
        questions_fingerprint(["p", "q"], [{"c": 1}, {"a": 1, "b": 2}], ["one", "two"]),
        questions_fingerprint(["p", "q"], [{"a": 1, "b": 2}, {"c": 1}], ["two", "one"]),
    ]
    assert len({asked, *others}) == 1 + len(others)


@pytest.fixture
def evaluated(tmp_path: Path) -> Callable[..., Path]:
    """Makes a run whose answers by these systems are kept."""

    def make(
        name: str, systems: dict[str, Judged], questions: str = "asked", depth: int = 10, **settings: object
    ) -> Path:
        run = run_at(tmp_path / name)
        save_results(run, "search", "test", systems, questions, settings, depth=depth)
        return run

    return make


def test_the_same_questions_are_tested_pairwise(evaluated: Callable[..., Path]):
    good, poor = judged_as(1, 1, 1, 1, 1), judged_as(0, 0, 0, 0, 0)
    # asked in another order: the third query is the first one here
    turned = Judged(("q4", "q0", "q1", "q2", "q3"), {"recall@10": np.array([0.0, 1, 1, 1, 1])}, {"recall@10": None}, 0)
    runs = {
        "a": evaluated("a", {"bm25": good, "generative": poor}),
        "b": evaluated("b", {"generative": good, "dense": good}),
        "c": evaluated("c", {"generative": turned}),
    }
    found = compare_results(runs, resamples=0)
    (block,) = found.blocks
    assert (block.system, list(block.judged), found.notes) == ("generative", ["a", "b", "c"], ())
    ordered = judged_as(1, 1, 1, 1, 0)
    alone = [difference(poor, each, "recall@10") for each in (good, ordered)]
    told = found.to_dict()["evaluations"]["tables"][0]["runs"]
    first, second = (told[name]["metrics"]["recall@10"]["difference_to_first"] for name in "bc")
    assert [each["mean"] for each in (first, second)] == [1.0, 0.8]
    assert [each["p_value"] for each in (first, second)] == [each.p_value for each in alone] == [2 / 32, 2 / 16]
    assert [each["p_holm"] for each in (first, second)] == [4 / 32, 2 / 16]
    assert found.to_markdown().splitlines()[:6] == [
        "",
        "**generative** (search, split test)",
        "",
        "|  | a | b | c |",
        "|---|---:|---:|---:|",
        "| recall@10 | 0.0000 | 1.0000 p=0.125 | 0.8000 p=0.125 |",
    ]
    assert "paired sign-flip test of the mean, two-sided, adjusted by Holm for the 2 tests" in found.to_markdown()


def test_a_block_for_each_system_that_all_have(evaluated: Callable[..., Path]):
    both = {"bm25": judged_as(1, 0), "generative": judged_as(0, 0)}
    found = compare_results({"a": evaluated("a", both), "b": evaluated("b", both)})
    assert [block.system for block in found.blocks] == ["bm25", "generative"]
    assert "(0.100\N{EN DASH}0.900)" in found.to_markdown()
    assert "Holm" not in found.to_markdown(), "one test a metric needs no adjusting"


def test_other_questions_are_said_and_not_compared(evaluated: Callable[..., Path]):
    runs = {
        "a": evaluated("a", {"bm25": judged_as(1, 0)}),
        "b": evaluated("b", {"bm25": judged_as(1, 0)}, "others"),
    }
    found = compare_results(runs)
    assert found.blocks == ()
    assert found.notes == (
        "search, split test: other questions were asked of a than of b; evaluate all on the same queries to compare "
        "them",
    )
    runs["c"] = evaluated("c", {"bm25": judged_as(1, 1)}, "others")
    found = compare_results(runs)
    assert [list(block.judged) for block in found.blocks] == [["b", "c"]]
    assert "asked of a than of b and c" in found.notes[0]


def test_what_cannot_be_compared_is_said(evaluated: Callable[..., Path], tmp_path: Path):
    first = evaluated("a", {"bm25": judged_as(1, 0)}, beams=20)

    def note(name: str, run: Path) -> str:
        found = compare_results({"a": first, name: run})
        assert (found.blocks, len(found.notes)) == ((), 1)
        return found.notes[0]

    assert "nothing is kept of b" in note("b", run_at(tmp_path / "b"))
    assert "no system in common (a: bm25; c: dense)" in note("c", evaluated("c", {"dense": judged_as(1, 0)}, beams=20))
    other = evaluated("d", {"bm25": judged_as(1, 0, metric="mrr@10")}, beams=20)
    assert "bm25 was judged by other metrics" in note("d", other)
    other = with_other_documents(evaluated("e", {"bm25": judged_as(1, 0)}, beams=20))
    assert "documents of e came or went since then; evaluate it again" in note("e", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [({"beams": 20}, {"beams": 50}), ({"masked": False}, {"masked": True}), ({"exact": False}, {"exact": True})],
)
def test_systems_asked_in_another_way_are_not_compared(
    evaluated: Callable[..., Path], one: dict[str, object], other: dict[str, object]
):
    systems = {"generative": judged_as(1, 0), "bm25": judged_as(1, 0)}
    runs = {name: evaluated(name, systems, **how) for name, how in (("a", one), ("b", other))}
    found = compare_results(runs)
    assert found.blocks == ()
    assert " p=" not in found.to_markdown()
    assert found.notes[0] == (
        f"search, split test: generative was not asked in the same way (a: {json.dumps(one)}; b: {json.dumps(other)}); "
        "evaluate all in one way to compare them"
    )
    runs["c"] = evaluated("c", {"generative": judged_as(1, 1)}, **other)
    found = compare_results(runs)
    assert [(block.system, list(block.judged)) for block in found.blocks] == [("generative", ["b", "c"])]
    assert "(a: " in found.notes[0]
    assert "b and c: " in found.notes[0]


def test_depth_is_kept_and_changes_nothing(evaluated: Callable[..., Path]):
    """The first ten of a hundred documents are the ten that are found when ten are asked for."""
    runs = {name: evaluated(name, {"bm25": judged_as(1, 0)}, depth=depth) for name, depth in (("a", 10), ("b", 100))}
    found = compare_results(runs)
    assert (len(found.blocks), found.notes) == (1, ())
    assert found.blocks[0].results.depth == {"bm25": 10}


def test_what_an_earlier_version_kept_is_not_compared(evaluated: Callable[..., Path]):
    """Lists changed with the deepest metric then, and nobody knows which that was."""
    runs = {name: evaluated(name, {"bm25": judged_as(1, 0)}) for name in "abc"}
    for name in "ab":
        path = runs[name] / "results-search-test.parquet"
        table = pyarrow.parquet.read_table(path)
        kept = json.loads(table.schema.metadata[b"results"])
        del kept["systems"]["bm25"]["depth"]
        pyarrow.parquet.write_table(table.replace_schema_metadata({b"results": json.dumps(kept)}), path)
    found = compare_results(runs)
    assert found.blocks == ()
    assert "bm25 of a and b was evaluated by an earlier version" in found.notes[0]
    assert found.notes[0].endswith("evaluate again")
    assert len(compare_results({"a": runs["a"]}).blocks) == 1, "one alone is shown"


def test_nothing_kept_is_nothing_told(tmp_path: Path):
    found = compare_results({"a": run_at(tmp_path / "a"), "b": run_at(tmp_path / "b")})
    assert (found.to_markdown(), found.to_dict()) == ("", {})


def test_lmindexer_compare_has_a_second_table(corpus: Corpus, tmp_path: Path):
    items = write_items(corpus, tmp_path / "items.jsonl")
    runs = [tmp_path / "one", tmp_path / "two"]
    for seed, run in enumerate(runs):
        learned(items, "--indexer", "random", "--seed", seed, "--out", run)
    before = lmindexer("compare", *runs, "--resamples", 0)
    assert before.code == 0, before.err
    for run, value in zip(runs, (0.0, 1.0), strict=True):
        save_results(run, "search", "test", {"bm25": judged_as(*[value] * 5)}, "asked", depth=10)
    after = lmindexer("compare", *runs, "--resamples", 0).out
    assert after.startswith(before.out[:-1])
    assert "| recall@10 | 0.0000 | 1.0000 p=0.062 |" in after
    assert "0.0000 (0.100\N{EN DASH}0.900)" in lmindexer("compare", *runs, "--resamples", 5).out
    told = json.loads(lmindexer("compare", *runs, "--resamples", 0, "--format", "json").out)
    (table,) = told["evaluations"]["tables"]
    assert (table["task"], table["split"], table["system"]) == ("search", "test", "bm25")
    assert table["runs"]["two"]["metrics"]["recall@10"]["difference_to_first"]["p_holm"] == 2 / 32
