"""What the model cannot see is told to whoever runs a command, whatever it is called with."""

import json
from pathlib import Path

import pytest

from command_line import learned, lmindexer
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.indexers.registry import load_indexer
from lmindexer.methods.dense import DenseRetriever
from lmindexer.methods.generative.folder import begin_model
from lmindexer.methods.generative.histories import item_vectors
from lmindexer.runs import Run
from small_tasks import learn, write_jsonl
from tiny import TOPICS

BANNER = "the old rose and a small pan of good soil"
ENDS = [words for topic in TOPICS.values() for words in (topic, " ".join(topic.split()[::-1]))]
LONG = Corpus.from_documents(Document(str(n), f"{BANNER} {end}") for n, end in enumerate(ENDS))


def notes_of(err: str) -> list[str]:
    return [line.removeprefix("note: ") for line in err.splitlines() if line.startswith("note: ")]


@pytest.mark.parametrize("indexer", ["lmindexer", "rq-kmeans"])
def test_every_verb_that_reads_documents_tells(indexer: str, checkpoints: dict[str, Path], tmp_path: Path):
    items = write_jsonl(tmp_path / "items.jsonl", [{"id": d.id, "title": d.text} for d in LONG])
    models = ("--backbone", checkpoints["bert"], "--embeddings", checkpoints["bert"])
    run = tmp_path / "run"
    answer = learned(items, "--indexer", indexer, "--max-tokens", 8, *models, "--quiet", "--out", run)
    (note,) = notes_of(answer.err)
    assert note.startswith("10 of 10 documents (100%) are longer than --max-tokens 8 and cut there: ")
    assert "and 10 look like another with a different text; to read more, learn with a larger --max-tokens" in note
    assert "warning: c1 uses 1 of 4 codes (perplexity 1.0); the encoder sees only 1 different text, as" in answer.err
    shown = " ".join(lmindexer("inspect", run).out.split())
    assert f"Note: {note}." in shown
    assert "Warning: c1 uses 1 of 4 codes" in shown
    assert json.loads(lmindexer("inspect", run, "--format", "json").out)["unseen"]["notes"] == [note]
    assert f"Note: {note}." in (run / "report.md").read_text(encoding="utf-8")
    new = write_jsonl(tmp_path / "new.jsonl", [{"id": "new", "title": f"{BANNER} tide"}])
    for verb in ("index", "add"):
        (note,) = notes_of(lmindexer(verb, run, new).err)
        assert note.startswith("1 of 1 document (100%) is longer than --max-tokens 8 and cut there: ")
        assert "to read more, learn anew with a larger" in note


def test_what_a_model_cannot_see_of_queries_is_told(checkpoints: dict[str, Path], corpus: Corpus, tmp_path: Path):
    run = learn(corpus, tmp_path / "run", backbone=str(checkpoints["bert"]), indexer="lmindexer")
    texts = ["洗发", "护发", "a rose", "the pan and the knife and the oven of the storm"]
    queries = [{"query": text, "item_ids": [f"doc{n}"], "split": "train"} for n, text in enumerate(texts)]
    asked = write_jsonl(tmp_path / "queries.jsonl", queries)
    small = ("--epochs", 1, "--warmup-epochs", 1, "--device", "cpu", "--max-tokens", 8, "--held-out", 0)
    answer = lmindexer("finetune", run, "--queries", asked, "--out", tmp_path / "out", *small)
    assert answer.code == 0, answer.err
    unknown, cut = [note for note in notes_of(answer.err) if "unknown" in note or "longer" in note]
    assert "(at least half in 2 of 4 queries), and 3 different texts look like 2 to it; to see more, learn" in unknown
    assert cut == (
        "1 of 4 queries (25%) is longer than 8 tokens and cut there; to read more, fine-tune with a larger "
        "--max-tokens (its model reads 64)"
    )
    refused = lmindexer("finetune", run, "--queries", asked, "--out", tmp_path / "none", *small[:4], "--max-tokens", 1)
    assert "max_tokens 1 leaves no room for text" in refused.err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("long", ["cut", "pool"])
def test_whatever_reads_a_run_s_documents_reads_them_as_it_did(long: str, checkpoints: dict[str, Path], tmp_path: Path):
    """By a dense search, before a task, and as items of a history."""
    bert = str(checkpoints["bert"])
    run = learn(LONG, tmp_path / "run", indexer="rq-kmeans", sizes=(4, 2), max_tokens=8, long=long, embeddings=bert)
    dense = DenseRetriever(LONG, bert, 8, long=Run.open(run).config.long)
    alike = [len({round(hit.score, 3) for hit in hits}) == 1 for hits in dense.search(ENDS, 10)]
    assert all(alike) == (long == "cut")
    assert ("long" in dense.settings) == (long == "pool")
    config = FinetuneConfig(task="recommend", device="cpu")
    finetuned = begin_model(Run.open(run), config)
    assert finetuned.items is not None
    for vectors in (finetuned.items.vectors, item_vectors(finetuned.documents())):
        assert bool((vectors == vectors[0]).all()) == (long == "cut")


def test_a_dense_search_in_a_run_reads_as_it_did(checkpoints: dict[str, Path], tmp_path: Path):
    run = learn(LONG, tmp_path / "run", sizes=(4, 2), max_tokens=8, long="pool")
    answer = lmindexer("search", run, "--method", "dense", "violin drum chord", "--format", "jsonl")
    assert len({json.loads(line)["score"] for line in answer.out.splitlines()}) > 2
    assert load_indexer(run).config.long == "pool"
