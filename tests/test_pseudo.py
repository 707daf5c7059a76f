"""lmindexer pseudo: what it writes and tells, and whom it sends away."""

import json
import re
from pathlib import Path

import pytest

from command_line import entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.methods.registry import load_retriever


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
        (("--ways", "title", "--top-k", "3"), "top_k says how a model writes; name one with --model"),
        (("--model", "bundled", "--top-k", "3", "--beams", "2"), "top_k is a setting of sampling, not of a search by"),
        (("--model", "bundled", "--epochs", "3"), "--epochs is of training; name the queries to train on with --train"),
        (("--model", "bundled", "--model-out", "w"), "--model-out is of training"),
        (("--model", "bundled", "--train", "q.jsonl"), "its folder with --model-out"),
        (("--ways", "title", "--train", "q.jsonl"), "name what it begins as with --model"),
        (("--model", "bundled", "--train", "q.jsonl", "--model-out", "w"), r"q\.jsonl does not exist"),
        (("--ways", "title", "--keep-found", "0"), "--keep-found"),
        (("--ways", "title", "--keep-found", "3", "--by", "popular"), "--by"),
        (("--ways", "title", "--by", "dense"), "--by is the method of --keep-found; give that, too"),
    ],
)
def test_mistakes_are_one_sentence(run: Path, arguments: tuple[str, ...], told: str, tmp_path: Path):
    answer = lmindexer("pseudo", run, *arguments, "--out", tmp_path / "pseudo.jsonl")
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.splitlines()) == 1
    assert re.search(told, answer.err), answer.err
    assert entries(tmp_path) == []


def test_only_what_is_found_again_is_kept(run: Path, tmp_path: Path):
    """Of a query, BM25 finds one document first: its own, or another with its words."""
    out = tmp_path / "pseudo.jsonl"
    asked = ("pseudo", run, "--ways", "title,words", "--out")
    assert lmindexer(*asked, tmp_path / "all.jsonl").code == 0
    answer = lmindexer(*asked, out, "--keep-found", 1)
    made, kept = lines(tmp_path / "all.jsonl"), lines(out)
    texts = [str(line["query"]) for line in made]
    hits = load_retriever(run, "bm25").search(texts, 1)
    first = {text: found[0].doc_id for text, found in zip(texts, hits, strict=True)}
    expected = [line for line in made if line["item_ids"] == [first[str(line["query"])]]]
    assert [(line["query"], line["item_ids"]) for line in kept] == [(x["query"], x["item_ids"]) for x in expected]
    assert 0 < len(kept) < len(made)
    told = f"note: {len(made) - len(kept)} of {len(made)} queries are left out, as bm25 does not find their document"
    assert told in answer.err


def test_a_writer_is_trained_and_writes(run: Path, checkpoints: dict[str, Path], tmp_path: Path):
    """Stopped in the writing, the same command goes on with it and does not train again."""
    queries = [{"query": text, "item_ids": [id]} for text, id in (("old rose", "doc0"), ("the pan", "doc3"))]
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in queries))
    writer, out = tmp_path / "writer", tmp_path / "pseudo.jsonl"
    small = ("--epochs", 1, "--learning-rate", 1e-3, "--device", "cpu", "--precision", "fp32")
    train = ("pseudo", run, "--model", checkpoints["t5"], "--train", tmp_path / "queries.jsonl", "--model-out", writer)
    answer = lmindexer(*train, *small)
    assert answer.code == 0, answer.err
    assert "1 pairs to learn from, 1 to choose by; cpu" in answer.err
    assert {path.name for path in tmp_path.iterdir()} == {"queries.jsonl", "writer"}
    answer = lmindexer(*train, *small, "--beams", 2, "--out", out, "--resume")
    assert answer.code == 0, answer.err
    assert f"the writer in {writer} is trained already" in answer.err
    assert {path.name for path in tmp_path.iterdir()} == {"pseudo.jsonl", "queries.jsonl", "writer"}
    left_out = re.search(
        r"note: (\d+) of 160 queries that the model wrote are empty or the same as another", answer.err
    )
    assert 160 - int(left_out[1] if left_out else 0) == len(lines(out))
    again = ("pseudo", run, "--model", writer, "--beams", 2, "--device", "cpu", "--precision", "fp32", "--out")
    assert lmindexer(*again, tmp_path / "again.jsonl").code == 0
    assert (tmp_path / "again.jsonl").read_bytes() == out.read_bytes()


def test_an_out_or_a_run_that_cannot_be_is_refused(run: Path, tmp_path: Path):
    told = lmindexer("pseudo", run, "--ways", "title", "--out", tmp_path / "pseudo.csv").err
    assert "cannot tell the format of --out" in told
    (folder := tmp_path / "pseudo.jsonl").mkdir()
    assert "is a folder; name a file in it" in lmindexer("pseudo", run, "--ways", "title", "--out", folder).err
    told = lmindexer("pseudo", tmp_path, "--ways", "title", "--out", tmp_path / "a.jsonl").err
    assert "is not a run folder: it has no run.json" in told
