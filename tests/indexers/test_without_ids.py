"""A run of documents alone: whatever needs no IDs works on it, and all else is refused in one sentence."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from command_line import lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.without_ids import WithoutIds
from small_tasks import write_jsonl, write_queries, write_sequences


@pytest.fixture
def run(corpus: Corpus, tmp_path: Path) -> Path:
    items = write_items(corpus, tmp_path / "items.jsonl")
    answer = lmindexer("learn", items, "--indexer", "none", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "documents without IDs" in answer.out
    return tmp_path / "run"


def test_vectors_would_do_nothing_and_are_refused(run: Path, corpus: Corpus):
    np.save(run.parent / "v.npy", np.ones((len(corpus), 4), np.float32))
    made = ("--indexer", "none", "--embeddings", run.parent / "v.npy", "--out", run.parent / "made")
    answer = lmindexer("learn", run.parent / "items.jsonl", *made)
    assert answer.code == 2
    assert "embeddings is a setting of" in answer.err
    (run.parent / "new.jsonl").write_text('{"id": "new", "title": "a xylophone"}\n')
    np.save(run.parent / "one.npy", np.ones((1, 4), np.float32))
    before = (run / "run.json").read_bytes()
    answer = lmindexer("add", run, run.parent / "new.jsonl", "--text", "title", "--embeddings", run.parent / "one.npy")
    assert answer.code == 2
    assert "takes no vectors" in answer.err
    assert (run / "run.json").read_bytes() == before


def test_what_was_evaluated_is_compared(run: Path, corpus: Corpus):
    queries = write_queries(run.parent / "q.jsonl")
    other = shutil.copytree(run, run.parent / "other")
    for place in (run, other):
        answer = lmindexer("evaluate", place, "--queries", queries, "--method", "bm25", "--metrics", "recall@5")
        assert answer.code == 0, answer.err
    answer = lmindexer("compare", run, other)
    assert answer.code == 0, answer.err
    assert "recall@5" in answer.out
    assert "has no IDs; what was evaluated is compared alone" in answer.err
    assert list(json.loads(lmindexer("compare", run, other, "--format", "json").out)) == ["evaluations"]


def test_what_needs_no_ids_answers(run: Path, corpus: Corpus):
    answer = lmindexer("search", run, corpus[3].text, "--method", "bm25", "-k", 1, "--format", "jsonl")
    found = json.loads(answer.out)
    assert corpus[corpus.row_of[found["id"]]].text == corpus[3].text
    assert "codes" not in found
    queries, taken = write_queries(run.parent / "q.jsonl"), write_sequences(run.parent / "s.txt", corpus)
    answer = lmindexer("evaluate", run, "--queries", queries, "--method", "bm25", "--metrics", "recall@5")
    assert answer.code == 0, answer.err
    answer = lmindexer("evaluate", run, "--sequences", taken, "--method", "popular")
    assert answer.code == 0, answer.err
    assert lmindexer("check", run).code == 0


def test_documents_come_and_go(run: Path, corpus: Corpus):
    new = run.parent / "new.jsonl"
    write_jsonl(new, [{"id": "new", "title": "a xylophone"}, {"id": "doc1", "title": corpus[1].text}])
    answer = lmindexer("add", run, new, "--text", "title")
    assert (answer.code, answer.out, answer.err) == (0, "", "added 1; 1 already there\n")
    assert "new  a xylophone" in lmindexer("search", run, "xylophone", "--method", "bm25").out
    assert lmindexer("remove", run, "new", "doc1").code == 0
    assert lmindexer("check", run).code == 0
    assert len(load_indexer(run).corpus()) == len(corpus) - 1
    answer = lmindexer("remove", run, "doc2", "nobody")
    assert (answer.code, "'nobody' cannot be removed: no document of" in answer.err) == (2, True)


@pytest.mark.parametrize(
    "verb", [("inspect",), ("export",), ("compare",), ("search", "rose"), ("lookup", "1"), ("index", "items.jsonl")]
)
def test_what_needs_ids_is_refused(run: Path, verb: tuple[str, ...], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(run.parent)
    answer = lmindexer(verb[0], run, *verb[1:])
    assert (answer.code, answer.out) == (2, "")
    assert "IDs" in answer.err
    assert len(answer.err.splitlines()) == 1


def test_it_cannot_be_taught_to_give_ids(run: Path):
    queries = write_queries(run.parent / "q.jsonl")
    answer = lmindexer("finetune", run, "--queries", queries, "--out", run.parent / "taught")
    assert answer.code == 2
    assert "has no IDs to teach (--indexer none); learn it with another --indexer" in answer.err
    assert not (run.parent / "taught").exists()


def test_a_resumed_one_is_finished(run: Path, corpus: Corpus):
    before = (run / "run.json").read_bytes()
    items = run.parent / "items.jsonl"
    assert lmindexer("learn", items, "--indexer", "none", "--out", run, "--resume").code == 0
    assert (run / "run.json").read_bytes() == before
    assert lmindexer("learn", items, "--indexer", "none", "--out", run).code == 2


def test_before_it_has_a_run_it_has_nothing():
    from lmindexer.config import LearnConfig

    indexer = WithoutIds(LearnConfig(indexer="none"))
    with pytest.raises(InputError, match="has not learned yet"):
        indexer.corpus()
