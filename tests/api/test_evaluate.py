"""lm.evaluate: runs, methods and whatever else answers, on questions from anywhere."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import lmindexer as lm
from lmindexer import extras
from small_tasks import QUIET, write_queries


class Fixed:
    """Finds the same documents, whatever is asked."""

    def __init__(self, *doc_ids: str) -> None:
        self.hits = [lm.Hit(doc_id, -float(n)) for n, doc_id in enumerate(doc_ids)]

    def answer(self, questions: Sequence[Any], k: int = 10) -> list[list[lm.Hit]]:
        return [self.hits[:k] for _ in questions]


def means(found: lm.Evaluation) -> dict[str, float]:
    return {row["method"]: row["mean"] for row in found.rows()}


def test_by_hand():
    found = lm.evaluate({"good": Fixed("a"), "bad": Fixed("b")}, {"q": ["a"], "r": {"a": 2, "c": 0}}, ["recall@1"],
                        progress=QUIET)  # fmt: skip
    assert means(found) == {"good": 1.0, "bad": 0.0}
    assert repr(found) == "Evaluation(good, bad; 2 questions)"
    assert "| recall@1 |" in found._repr_markdown_() == str(found) == found.to_markdown()
    assert [row["p"] for row in found.rows()] == [None, pytest.approx(0.5)]


def test_runs_and_methods_have_names_of_their_own(search: lm.OpenRun, items: lm.LMIndexer):
    methods = [search, items.method("bm25"), items, Fixed("doc1"), items.method("bm25")]
    found = lm.evaluate(methods, search.questions(), progress=QUIET)
    assert list(found.first.judged) == ["generative", "bm25", "generative 2", "Fixed", "bm25 2"]
    assert list(found.first.judged["bm25"].means) == ["recall@10", "ndcg@10"]


def test_questions_come_from_files_of_queries(items: lm.LMIndexer, tmp_path: Path):
    path = write_queries(tmp_path / "queries.jsonl")
    bm25 = items.method("bm25")
    of_file = lm.evaluate([bm25], path, split="test", progress=QUIET)
    assert of_file.first.questions == 8
    assert means(lm.evaluate([bm25], lm.Queries.read(path, split="test"), progress=QUIET)) == means(of_file)


def test_what_the_documents_lack_is_told(items: lm.LMIndexer):
    questions = {"rose": ["doc3", "gone"], "pan": ["gone"]}
    found = lm.evaluate([items.method("bm25")], questions, progress=QUIET)
    assert any("2 of 3 relevant documents are not in the corpus and count as not found" in note for note in found.notes)
    left = lm.evaluate([items.method("bm25")], questions, answerable=True, progress=QUIET)
    assert left.first.questions == 1


def test_queries_that_a_run_learned_from_are_told(search: lm.OpenRun):
    learned = search.taught_queries
    assert learned is not None
    found = lm.evaluate([search], learned, progress=QUIET)
    assert any("have the words of queries that the run was trained with" in note for note in found.notes)


def test_histories_are_parted_as_a_run_parts_them(
    recommend: lm.OpenRun, items: lm.LMIndexer, histories: list[list[str]]
):
    methods = [recommend, recommend.method("popular"), items.method("dense")]
    asked = lm.Histories.of({str(user): taken for user, taken in enumerate(histories)})
    found = lm.evaluate(methods, asked, ["recall@10"], progress=QUIET)
    assert found.to_dict()["tables"].keys() == {"as_is", "masked"}
    assert found.rows() == lm.evaluate(methods, recommend.questions(), ["recall@10"], progress=QUIET).rows()
    with pytest.raises(lm.InputError, match="put a run or its method first"):
        lm.evaluate([Fixed("doc1")], asked)


def test_what_cannot_be_evaluated_is_refused(items: lm.LMIndexer):
    bm25 = items.method("bm25")
    with pytest.raises(lm.InputError, match="what is evaluated must be a list"):
        lm.evaluate(bm25, {"q": ["doc1"]})  # type: ignore[arg-type]
    with pytest.raises(lm.InputError, match="there is nothing to evaluate"):
        lm.evaluate([], {"q": ["doc1"]})
    with pytest.raises(lm.InputError, match="3 answers no questions"):
        lm.evaluate([3], {"q": ["doc1"]})  # type: ignore[list-item]
    with pytest.raises(lm.InputError, match="metrics must be a list, not the one text"):
        lm.evaluate([bm25], {"q": ["doc1"]}, "recall@10")
    with pytest.raises(lm.InputError, match="the documents of the query 'q' must be a list"):
        lm.evaluate([bm25], {"q": "doc1"})


def test_pandas_is_asked_for_where_it_is_missing(items: lm.LMIndexer, monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    found = lm.evaluate([Fixed("a")], {"q": ["a"]}, progress=QUIET)
    monkeypatch.setattr(extras, "import_module", missing)
    for use in (items.ids.to_pandas, found.to_pandas):
        with pytest.raises(lm.InputError, match=r"needs pandas, which is not installed; run: pip install pandas"):
            use()


def test_pandas_is_given_the_rows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(extras, "import_module", lambda name: SimpleNamespace(DataFrame=lambda rows: (name, rows)))
    found = lm.evaluate([Fixed("a")], {"q": ["a"]}, ["recall@1"], progress=QUIET)
    name, rows = found.to_pandas()
    assert name == "pandas"
    assert rows[0]["mean"] == 1.0


def test_pandas_itself(items: lm.LMIndexer):
    pytest.importorskip("pandas")
    assert list(items.ids.to_pandas().columns) == ["id", "c1", "c2", "suffix"]


def columns_of(table: str) -> list[str]:
    head = next(line for line in table.splitlines() if line.startswith("|"))
    return [cell.strip(" *") for cell in head.split("|") if cell.strip()]


def test_runs_are_compared(items: lm.LMIndexer, corpus: lm.Corpus, tmp_path: Path):
    other = lm.TwoStepIndexer(indexer="random", sizes=(4, 4), device="cpu").fit(corpus, progress=QUIET)
    found = lm.compare({"learned": items, "random": other}, resamples=0)
    assert columns_of(found.to_markdown()) == ["learned (lmindexer)", "random"]
    assert str(found) == found.to_markdown()
    assert found._repr_markdown_() == found.to_markdown()
    saved = lm.load(items.save(tmp_path / "items"))
    assert columns_of(lm.compare([saved], resamples=0).to_markdown()) == ["items (lmindexer)"], "named by its folder"
    with pytest.raises(lm.InputError, match="'runs/items' is no run; give runs as load, fit and teach return them"):
        lm.compare(["runs/items"])  # type: ignore[list-item]
    with pytest.raises(lm.InputError, match="nothing to compare"):
        lm.compare([])


def test_no_run_that_is_compared_is_lost(items: lm.LMIndexer, tmp_path: Path):
    saved = [lm.load(items.save(tmp_path / folder / "items")) for folder in ("a", "b", "c")]
    named = [f"{run.path} (lmindexer)" for run in saved]
    assert columns_of(lm.compare(saved, resamples=0).to_markdown()) == named, "three folders of one name"
    with pytest.raises(lm.InputError, match="is named twice; name each once"):
        lm.compare([saved[0]] * 3)
    with pytest.raises(lm.InputError, match="runs must be a list, not the one text 'runs/items'"):
        lm.compare("runs/items")  # type: ignore[arg-type]
    with pytest.raises(lm.InputError, match="'runs/items' is no run"):
        lm.compare({"items": "runs/items"})  # type: ignore[dict-item]


def test_a_run_tells_what_is_wrong_with_it(items: lm.LMIndexer, tmp_path: Path):
    saved = lm.load(items.save(tmp_path / "items"))
    assert saved.check() == []
    (saved.path / "ids.jsonl").write_text("damaged")
    assert any("ids.jsonl" in fault for fault in saved.check())
