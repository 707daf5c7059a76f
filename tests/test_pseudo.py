"""lmindexer pseudo: what it writes and tells, and whom it sends away."""

import json
import re
from pathlib import Path

import pytest

from command_line import entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus


@pytest.fixture(scope="module")
def run(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    learned(write_items(corpus, folder / "items.jsonl"), "--out", folder / "run", "--indexer", "random")
    return folder / "run"


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_writes_queries_of_every_kind(run: Path, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    out = tmp_path / "new" / "pseudo.jsonl"
    kinds = ("--ways", "title, words,title", "--model", checkpoints["t5"], "--column", "kind")
    asked = ("pseudo", run, *kinds, "--files", run.parent / "items.jsonl", "--per-document", 2, "--device", "cpu")
    answer = lmindexer(*asked, "--out", out)
    assert (answer.code, answer.out) == (0, "")
    found = lines(out)
    assert {line["source"] for line in found} == {"title", "words", "model", "column"}
    assert [line["query"] for line in found if line["source"] == "title"] == corpus.texts()
    assert sum(line["source"] == "column" for line in found) == 2 * len(corpus), "both strings of each list"
    assert "title: 80 queries; 0 documents gave none" in answer.err
    assert f"{len(found):,} queries in {out}; 0 of 80 documents have none" in answer.err

    again = lmindexer(*asked, "--out", tmp_path / "again.jsonl")
    assert again.code == 0
    assert (tmp_path / "again.jsonl").read_bytes() == out.read_bytes()
    other = lmindexer(*asked, "--seed", 1, "--out", tmp_path / "other.jsonl")
    assert other.code == 0
    for source in ("words", "model"):
        assert [x for x in lines(out) if x["source"] == source] != [
            x for x in lines(tmp_path / "other.jsonl") if x["source"] == source
        ]


def test_evaluate_reads_it(run: Path, tmp_path: Path):
    out = tmp_path / "pseudo.jsonl"
    assert lmindexer("pseudo", run, "--ways", "passage", "--out", out).code == 0
    asked = ("evaluate", run, "--queries", out, "--method", "bm25", "--metrics", "recall@80", "--format", "json")
    assert lmindexer(*asked).code == 0


def test_documents_without_a_query_are_counted(run: Path, tmp_path: Path):
    """No text of the corpus has a second sentence."""
    out = tmp_path / "pseudo.jsonl"
    answer = lmindexer("pseudo", run, "--ways", "first-sentence,title", "--out", out)
    assert "first-sentence: 0 queries; 80 documents gave none" in answer.err
    refused = lmindexer("pseudo", run, "--ways", "first-sentence", "--out", tmp_path / "none.jsonl")
    assert refused.code == 2
    assert re.fullmatch(r"lmindexer: no document of .*run gave a query; .*another kind\n", refused.err)
    assert entries(tmp_path) == ["pseudo.jsonl"]


def test_unknown_documents_of_a_column_are_told(run: Path, tmp_path: Path):
    (tmp_path / "own.csv").write_text("id,ask\ndoc3,what is it\nelsewhere,who\n")
    out = tmp_path / "pseudo.jsonl"
    answer = lmindexer("pseudo", run, "--column", "ask", "--files", tmp_path / "own.csv", "--out", out)
    assert "note: 1 of 2 records of " in answer.err
    assert "(the first: 'elsewhere')" in answer.err
    assert lines(out) == [
        {"id": "doc3-column-0", "query": "what is it", "item_ids": ["doc3"], "source": "column"},
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no kind of query was asked for; give --ways .*, --model or --column"),
        (("--ways", "title,titles"), "no way 'titles' .* title, first-sentence, spans, words, passage"),
        (("--column", "kind"), "--column and --files belong together"),
        (("--files", "items.jsonl"), "no kind of query|belong together"),
        (("--column", "kind", "--files", "nowhere.jsonl"), r"nowhere\.jsonl does not exist"),
        (("--model", "nowhere/to-be-found"), "cannot load the model 'nowhere/to-be-found'"),
        (("--model", "bundled"), "reads and does not write"),
        (("--ways", "title", "--per-document", "0"), "--per-document"),
        (("--ways", "title", "--seed", "-1"), "--seed"),
        (("--model", "bundled", "--device", "abacus"), "no device 'abacus'"),
    ],
)
def test_mistakes_are_one_sentence(run: Path, arguments: tuple[str, ...], told: str, tmp_path: Path):
    answer = lmindexer("pseudo", run, *arguments, "--out", tmp_path / "pseudo.jsonl")
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.splitlines()) == 1
    assert re.search(told, answer.err), answer.err
    assert entries(tmp_path) == []


def test_an_out_or_a_run_that_cannot_be_is_refused(run: Path, tmp_path: Path):
    told = lmindexer("pseudo", run, "--ways", "title", "--out", tmp_path / "pseudo.csv").err
    assert "cannot tell the format of --out" in told
    (folder := tmp_path / "pseudo.jsonl").mkdir()
    assert "is a folder; name a file in it" in lmindexer("pseudo", run, "--ways", "title", "--out", folder).err
    told = lmindexer("pseudo", tmp_path, "--ways", "title", "--out", tmp_path / "a.jsonl").err
    assert "is not a run folder: it has no run.json" in told
