"""lmindexer evaluate: several retrievers on one set of queries, judged by hand where the answer is known."""

import json
import re
from pathlib import Path

import pytest

from command_line import entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.evaluation.metrics import parse_metrics
from lmindexer.evaluation.trec import read_run
from lmindexer.retrievers.hits import Hit
from lmindexer.tasks.evaluate import evaluate
from lmindexer.tasks.queries import Queries


class Fixed:
    """Answers the n-th query with the n-th list."""

    def __init__(self, *lists: str) -> None:
        self.lists = lists

    def search(self, texts: object, k: int = 10, *, only: object = None) -> list[list[Hit]]:
        return [[Hit(doc_id, -float(n)) for n, doc_id in enumerate(each[:k])] for each in self.lists]


def test_by_hand():
    queries = Queries(("q1", "q2"), ("one", "two"), ({"a": 1.0}, {"b": 1.0, "c": 1.0}), ("something was left out",))
    found = evaluate({"good": Fixed("ax", "bc"), "poor": Fixed("xa", "xy")}, queries, parse_metrics(["recall@1,2"]))
    assert found.judged["good"].means == {"recall@1": 0.75, "recall@2": 1.0}
    assert found.judged["poor"].means == {"recall@1": 0.0, "recall@2": 0.5}
    assert found.differences["poor"]["recall@1"].mean == -0.75
    told = found.to_markdown()
    assert "| recall@2 | 1.0000 | 0.5000 p=1.000 |" in told
    assert "Note: something was left out." in told
    assert found.to_dict()["retrievers"]["poor"]["metrics"]["recall@1"]["difference_to_first"]["mean"] == -0.75


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
    command += ["--retriever", "bm25", "--retriever", "generative", "--trec", tmp_path / "new" / "bm25.trec"]
    answer = lmindexer(*command)
    assert answer.code == 0, answer.err
    assert re.search(r"\| recall@80 \| 1\.0000 .*\| 1\.0000", answer.out)
    assert "'gone'" in answer.out, "a document that the run does not have is named"
    found = read_run(tmp_path / "new" / "bm25.trec")
    assert list(found) == [f"q{n}" for n in range(6)]
    told = json.loads(lmindexer(*command, "--format", "json", "--out", tmp_path / "told.json").out or "null")
    assert told is None
    told = json.loads((tmp_path / "told.json").read_text())
    first = [corpus[corpus.row_of[found[f"q{n}"][0][0]]].id == f"doc{n}" for n in range(6)]
    assert told["retrievers"]["bm25"]["metrics"]["recall@1"]["mean"] == pytest.approx(sum(first) / 6)


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
