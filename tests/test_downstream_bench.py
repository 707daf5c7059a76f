"""bench/downstream.py: indexers fine-tuned alike, in one table; held-out documents are asked for alone."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.indexers.store import load_documents
from lmindexer.runs import Run

ROOT = Path(__file__).parent.parent


@pytest.fixture
def call(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:  # fmt: skip
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import downstream

    items = write_items(corpus, tmp_path / "items.jsonl")
    asked = [
        {"_id": f"q{n}", "query": " ".join(document.text.split()[:3]), "item_ids": [document.id], "split": split}
        for n, document in enumerate(corpus)
        for split in ("train" if n % 3 else "test",)
    ]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in asked))
    users = [f"u{n} " + " ".join(corpus.doc_ids[n : n + 5]) for n in range(20)]
    (tmp_path / "sequences.txt").write_text("\n".join(users))
    encoder = checkpoints["bert"]

    def call(*more: object) -> str:
        command = ["--documents", items, "--indexers", "hc,rq-kmeans", "--out", tmp_path / "runs", "--quiet"]
        for setting in (f"embeddings={encoder}", f"backbone={encoder}", "sizes=4,4", "clusters=3", "leaf=8"):
            command += ["--learn", setting]
        for setting in ("epochs=1", "warmup_epochs=1", "dev_queries=5"):
            command += ["--finetune", setting]
        monkeypatch.setattr(sys, "argv", ["downstream", *map(str, (*command, *more))])
        downstream.main()
        return str(capsys.readouterr().out)

    return call


def test_search_beside_bm25(call: Any, tmp_path: Path):
    pytest.importorskip("bm25s")
    question = ("--queries", tmp_path / "queries.jsonl", "--others", "bm25")
    told = call(*question)
    assert told.splitlines()[0] == "|  | hc | rq-kmeans | bm25 |"
    assert call(*question) == told
    with pytest.raises(InputError, match="other settings"):
        call(*question, "--finetune", "epochs=2")


def test_held_out_documents_are_added_afterwards(call: Any, tmp_path: Path, corpus: Corpus):
    told = call("--queries", tmp_path / "queries.jsonl", "--others", "", "--hold-out", "0.1")
    assert f"Means of {round(0.1 * len(corpus))} queries" in told
    for name, size in (("hc", round(0.9 * len(corpus))), ("hc-finetuned", len(corpus))):
        assert len(load_documents(Run.open(tmp_path / "runs" / name))) == size


def test_recommendation(call: Any, tmp_path: Path):
    told = call("--sequences", tmp_path / "sequences.txt", "--others", "popular")
    assert "|  | hc | rq-kmeans | popular |" in told
    assert "A query here is a user's history." in told


def test_what_has_another_answer_was_trained_on_and_is_not_asked(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.downstream import _questions

    lines = [
        {"_id": "a", "query": "held out alone", "item_ids": ["doc1"], "split": "train"},
        {"_id": "b", "query": "held out and another", "item_ids": ["doc1", "doc9"], "split": "train"},
        {"_id": "c", "query": "HELD out  and another", "item_ids": ["doc1"], "split": "test"},
        {"_id": "d", "query": "held out, two of them", "item_ids": ["doc1", "doc2"], "split": "test"},
        {"_id": "e", "query": "another", "item_ids": ["doc9"], "split": "dev"},
        {"_id": "f", "query": "another", "item_ids": ["doc2"], "split": "test"},
        {"_id": "g", "query": "passed over", "item_ids": ["doc2"], "split": "spare"},
        {"_id": "h", "query": "Held out alone", "item_ids": ["doc2"], "split": "dev"},
        {"_id": "i", "query": "one of each", "item_ids": ["doc1", "doc9"], "split": "test"},
    ]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines))
    told = argparse.Namespace(queries=tmp_path / "queries.jsonl", qrels=None)
    assert _questions(told, corpus, set()).query_ids == ("c", "d", "f", "i"), "nothing is held out: the test queries"
    found = _questions(told, corpus, {"doc1", "doc2"})
    assert sorted(found.texts) == ["Held out alone", "held out, two of them"]
    with pytest.raises(InputError, match="no query has held-out documents for its only answers"):
        _questions(told, corpus, {"doc3"})
