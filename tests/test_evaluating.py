"""lmindexer evaluate: several retrievers on one set of queries, judged by hand where the answer is known."""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from command_line import entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.evaluation.metrics import parse_metrics
from lmindexer.evaluation.trec import read_run
from lmindexer.judging.evaluation import evaluate_methods
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.questions.queries import Queries
from lmindexer.questions.questions import TEXT


class Fixed(Retriever):
    """Answers the n-th query with the n-th list."""

    reads = (TEXT,)

    def __init__(self, *lists: str) -> None:
        self.lists, self.doc_ids, self.settings = lists, "abcxy", {}

    def _answer(self, questions: list[Any], kind: str, k: int, rows: object) -> list[list[Hit]]:
        return [
            [Hit(doc_id, -float(n)) for n, doc_id in enumerate(each[:k])]
            for each in (self.lists[("one", "two").index(text)] for text in questions)
        ]


def test_by_hand():
    queries = Queries(("q1", "q2"), ("one", "two"), ({"a": 1.0}, {"b": 1.0, "c": 1.0}), ("something was left out",))
    methods = {"good": Fixed("ax", "bc"), "poor": Fixed("xa", "xy")}
    found = evaluate_methods(methods, queries, parse_metrics(["recall@1,2"]))
    assert found.first.judged["good"].means == {"recall@1": 0.75, "recall@2": 1.0}
    assert found.first.judged["poor"].means == {"recall@1": 0.0, "recall@2": 0.5}
    assert found.first.differences["poor"]["recall@1"].mean == -0.75
    told = found.to_markdown()
    assert re.search(r"\| recall@2 \| 1\.0000 \([^|]*\) \| 0\.5000 \([^|]*\) p=1\.000 \|", told)
    assert "Note: something was left out." in told
    assert (
        found.to_dict()["tables"]["all"]["methods"]["poor"]["metrics"]["recall@1"]["difference_to_first"]["mean"]
        == -0.75
    )


class ByWords(Fixed):
    def without_words(self, texts: Sequence[str]) -> list[str]:
        return [text for text in texts if text != "one"]


def test_queries_without_a_known_word_are_counted():
    queries = Queries(("q1", "q2"), ("one", "two"), ({"a": 1.0}, {"b": 1.0}))
    retrievers = {"dense": Fixed("a", "b"), "bm25": ByWords("a", "")}
    told = "1 of 2 queries have no word that any document has, so bm25 finds nothing by words"
    assert evaluate_methods(retrievers, queries, parse_metrics(["recall@1"])).notes == (told,)
    known = Queries(("q1", "q2"), ("one", "one"), queries.relevant)
    assert evaluate_methods(retrievers, known, parse_metrics(["recall@1"])).notes == ()


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    learned(write_items(corpus, folder / "items.jsonl"), "--out", folder / "run", "--backbone", checkpoints["bert"])
    lines = [
        {"id": f"q{n}", "query": corpus[n].text, "item_ids": [f"doc{n}", "gone"], "split": "test"} for n in range(6)
    ]
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / "run"


def test_several_retrievers_side_by_side(run: Path, corpus: Corpus, tmp_path: Path):
    command = ["evaluate", run, "--queries", run.parent / "queries.jsonl", "--metrics", "recall@1,80 mrr@10"]
    command += ["--method", "bm25", "--method", "generative", "--trec", tmp_path / "new" / "bm25.trec"]
    answer = lmindexer(*command)
    assert answer.code == 0, answer.err
    assert re.search(r"\| recall@80 \| 0\.5000 .*\| 0\.5000", answer.out), "of two documents the run has one"
    assert "Note: 6 of 12 relevant documents are not in the corpus and count as not found (the first: 'gone')" in (
        answer.out
    )
    assert "asking bm25  6/6 queries" in answer.err
    found = read_run(tmp_path / "new" / "bm25.trec")
    assert list(found) == [f"q{n}" for n in range(6)]
    told = json.loads(lmindexer(*command, "--format", "json", "--out", tmp_path / "told.json").out or "null")
    assert told is None
    told = json.loads((tmp_path / "told.json").read_text())
    first = [corpus[corpus.row_of[found[f"q{n}"][0][0]]].id == f"doc{n}" for n in range(6)]
    assert told["tables"]["all"]["methods"]["bm25"]["metrics"]["recall@1"]["mean"] == pytest.approx(sum(first) / 6 / 2)
    assert any("count as not found" in note for note in told["notes"])
    answer = lmindexer(*command, "--answerable")
    assert re.search(r"\| recall@80 \| 1\.0000 .*\| 1\.0000", answer.out)
    assert "6 of 12 relevant documents are not in the corpus and are left out" in answer.out


def test_from_a_level_on_by_hand():
    queries = Queries(("q1", "q2"), ("one", "two"), ({"a": 1.0, "b": 2.0}, {"c": 1.0}))
    found = evaluate_methods({"x": Fixed("ab", "c")}, queries, parse_metrics(["recall@1,2", "ndcg@2"]), level=2)
    assert found.first.judged["x"].means["recall@2"] == 0.5, "to the second query nothing is relevant"
    assert found.first.judged["x"].means["recall@1"] == 0
    assert found.first.judged["x"].values["ndcg@2"][1] == 1
    assert found.notes == (
        "1 of 2 queries have no relevant document and count as 0, as in trec_eval",
        "documents of a grade of 2 or more are relevant; ndcg takes the grades as they are",
    )


def test_a_query_that_is_a_document_does_not_find_itself_by_hand():
    queries = Queries(("a", "b"), ("one", "two"), ({"b": 1.0}, {"c": 1.0}), (), {"b": ("x",)})
    retriever = Fixed("abc", "bxc")
    asked = {"x": retriever}
    assert evaluate_methods(asked, queries, parse_metrics(["recall@1"])).first.judged["x"].means == {"recall@1": 0.0}
    found = evaluate_methods(asked, queries, parse_metrics(["recall@1"]), leave_self_out=True)
    assert found.first.judged["x"].means == {"recall@1": 1.0}
    assert [[hit.doc_id for hit in hits] for hits in found.first.hits["x"]] == [["b"], ["c"]], "asked deep enough"
    assert "a query that is itself a document does not find it" in found.notes
    relevant_to_itself = Queries(("a",), ("one",), ({"a": 1.0, "b": 1.0},))
    found = evaluate_methods({"x": Fixed("ab")}, relevant_to_itself, parse_metrics(["recall@1"]), leave_self_out=True)
    assert found.first.judged["x"].means == {"recall@1": 1.0}


def test_many_queries_are_asked_in_parts_and_none_is_mixed_up():
    class Echo(Retriever):
        reads, doc_ids, settings = (TEXT,), (), {}

        def _answer(self, questions: list[Any], kind: str, k: int, rows: object) -> list[list[Hit]]:
            return [[Hit(text, 0.0)] for text in questions]

    ids = tuple(str(n) for n in range(600))
    queries = Queries(ids, ids, tuple({id: 1.0} for id in ids))
    found = evaluate_methods({"x": Echo()}, queries, parse_metrics(["recall@1"]))
    assert found.first.judged["x"].means == {"recall@1": 1.0}


def test_graded_judgements_and_queries_that_are_documents_on_the_command_line(run: Path, corpus: Corpus):
    (run.parent / "graded").mkdir()
    (run.parent / "graded" / "queries.jsonl").write_text(
        "".join(json.dumps({"_id": f"doc{n}", "text": corpus[n].text}) + "\n" for n in range(6))
    )
    lines = "".join(f"doc{n} 0 doc{n} 2\ndoc{n} 0 doc{n + 1} 1\n" for n in range(6))
    (run.parent / "graded" / "qrels").write_text(lines)
    command = ["evaluate", run, "--queries", run.parent / "graded", "--qrels", run.parent / "graded" / "qrels"]
    command += ["--method", "bm25", "--metrics", "recall@80 ndcg@1", "--format", "json"]

    def means(*more: object) -> tuple[float, list[str]]:
        answer = lmindexer(*command, *more)
        assert answer.code == 0, answer.err
        told = json.loads(answer.out)
        return told["tables"]["all"]["methods"]["bm25"]["metrics"]["recall@80"]["mean"], told["notes"]

    whole, notes = means()
    assert not notes
    level, notes = means("--relevance-level", 2)
    assert level == 1
    assert notes == ["documents of a grade of 2 or more are relevant; ndcg takes the grades as they are"]
    alone, notes = means("--leave-self-out", "--trec", run.parent / "alone.trec")
    assert alone == pytest.approx(2 * whole - 1), "of each two relevant documents one was itself, and found"
    assert notes == ["a query that is itself a document does not find it"]
    assert not any(query == hit for query, hits in read_run(run.parent / "alone.trec").items() for hit, _ in hits)
    for flag in (("--relevance-level", 2), ("--leave-self-out",), ("--answerable",)):
        answer = lmindexer("evaluate", run, "--sequences", "taken.txt", *flag)
        assert answer.code == 2
        assert "are for queries; leave them out" in answer.err


def test_a_trec_file_has_every_id_of_a_query_asked_once(run: Path, corpus: Corpus, tmp_path: Path):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    lines = [{"id": id, "query": corpus[3].text.upper() if n else corpus[3].text, "item_ids": [f"doc{3 + n}"]}
             for n, id in enumerate(("first", "second"))]  # fmt: skip
    (tmp_path / "twins.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer = lmindexer("evaluate", run, "--queries", tmp_path / "twins.jsonl", "--method", "bm25",
                       "--metrics", "recall@80", "--trec", tmp_path / "run")  # fmt: skip
    assert answer.code == 0, answer.err
    assert "Means of 1 queries" in answer.out
    assert "1 of 2 queries of" in answer.out
    with (tmp_path / "run").open() as file:
        found = pytrec_eval.parse_run(file)
    assert found["first"] == found["second"]


@pytest.mark.parametrize("broken", ["--out", "--trec", "keeping"])
def test_what_was_found_is_shown_though_it_cannot_be_written(
    run: Path, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("no folder")
    command = ["evaluate", run, "--queries", run.parent / "queries.jsonl", "--method", "bm25"]
    if broken == "keeping":

        def full(*arguments: object) -> None:
            raise OSError(28, "No space left on device", "results")

        monkeypatch.setattr("lmindexer.judging.results.write_atomically", full)
    else:
        command += [broken, tmp_path / "file" / "new"]
    answer = lmindexer(*command, "--metrics", "recall@1")
    assert answer.code == 2
    assert "| recall@1 |" in answer.out
    assert ("No space left" if broken == "keeping" else f"cannot make the folder of {broken}") in answer.err


def test_ids_that_a_trec_file_cannot_hold_are_told_before_anything_is_asked(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "queries.jsonl").write_text(json.dumps({"id": "two words", "query": "rose", "item_ids": ["doc1"]}))

    def never(*arguments: object, **how: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr("lmindexer.judging.evaluation.evaluate_methods", never)
    answer = lmindexer("evaluate", run, "--queries", tmp_path / "queries.jsonl", "--method", "bm25",
                       "--trec", tmp_path / "run")  # fmt: skip
    assert answer.code == 2
    assert "cannot hold 'two words'" in answer.err
    assert answer.out == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--queries", "nowhere"), "nowhere"),
        (("--queries", "queries.jsonl", "--split", "dev"), "dev"),
        (("--queries", "queries.jsonl", "--metrics", "accuracy@3"), "'accuracy@3' is no metric; the known ones are"),
        (("--queries", "queries.jsonl", "--metrics", "recall"), "recall@10"),
    ],
)
def test_mistakes_are_one_sentence_and_leave_nothing(
    run: Path, arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(run.parent)
    answer = lmindexer("evaluate", run, *arguments, "--out", tmp_path / "folder" / "out.md")
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.splitlines()) == 1
    assert told in answer.err
    assert entries(tmp_path) == []


def test_a_run_that_may_only_be_read_is_evaluated_all_the_same(run: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object, **how: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr("lmindexer.runs.lock.FileLock.acquire", refuse)
    answer = lmindexer("evaluate", run, "--queries", run.parent / "queries.jsonl", "--method", "bm25")
    assert answer.code == 0, answer.err
    assert "| recall@1 |" in answer.out
    assert "note: the results are not kept in" in answer.err
