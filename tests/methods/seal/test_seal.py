"""A whole run of SEAL: taught, kept, asked, changed and stopped in the middle."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import lmindexer
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.changes import add_documents, remove_documents
from lmindexer.indexers.check import check_run
from lmindexer.methods.registry import METHODS, load_retriever
from lmindexer.methods.seal.retriever import SealRetriever
from lmindexer.methods.seal.scoring import SCORINGS
from lmindexer.methods.seal.teachable import TeachableSeal
from lmindexer.questions.queries import load_queries
from lmindexer.questions.search_task import SearchTask
from lmindexer.runs import Run
from lmindexer.settings import parse
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUIET, learn, teach_whole_and_stopped, write_queries

QUICK: dict[str, Any] = {
    "method": "seal", "epochs": 1, "batch_size": 64, "device": "cpu", "precision": "fp32", "ngram_tokens": 4,
    "beams": 4,
}  # fmt: skip
BY_HEART = QUICK | {
    "epochs": 12, "batch_size": 4, "learning_rate": (1e-2,), "encoder_learning_rate": 3e-3, "dropout": 0.0, "ngrams": 1,
    "patience": 0, "document_share": 0.0, "dev_metric": "recall@1", "ngram_tokens": 8,
}  # fmt: skip
QUERIES = ["rose the", "thunder and storm"]


@pytest.fixture(scope="module")
def home(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seal")
    write_queries(folder / "queries.jsonl")
    learn(corpus, folder / "run", indexer="none")
    return folder


@pytest.fixture(scope="module", params=["bert", "t5"])
def taught(request: pytest.FixtureRequest, home: Path, checkpoints: dict[str, Path]) -> Path:
    out = home / request.param
    backbone = str(checkpoints[request.param])
    finetune(home / "run", out, queries=home / "queries.jsonl", backbone=backbone, **BY_HEART, progress=QUIET)
    return out


@pytest.fixture
def copy(taught: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(taught, tmp_path / "copy"))


def test_it_learns_which_documents_answer(taught: Path):
    assert Run(taught).read_json("finetune.json")["best"] >= 0.3, "by chance it would be .01"
    assert check_run(taught) == []


def test_a_kept_model_answers_as_the_one_that_was_taught(
    home: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    answers = []
    save = TeachableSeal.save

    def saved(model: TeachableSeal, run: Run, later: Any) -> None:
        answers.append(model.retriever().search(QUERIES, 80))
        save(model, run, later)

    monkeypatch.setattr(TeachableSeal, "save", saved)
    for encoder in ("frozen", "top"):
        out = tmp_path / encoder
        how = QUICK | {"backbone": str(checkpoints["bert"]), "encoder": encoder, "top_layers": 1}
        finetune(home / "run", out, queries=home / "queries.jsonl", **how, progress=QUIET)
        assert (out / "seal_backbone").exists() == (encoder == "top")
        assert load_retriever(out).search(QUERIES, 80) == answers.pop()


def test_every_ngram_is_in_a_document_and_every_hit_has_one(taught: Path, corpus: Corpus):
    retriever = load_retriever(taught)
    assert isinstance(retriever, SealRetriever)
    texts = retriever.writer.backbone.texts.whole(list(corpus.texts()))
    for ngrams, hits in zip(retriever.ngrams(QUERIES), retriever.search(QUERIES, 80), strict=True):
        ids = [tuple(retriever.index.token_ids[row[row > 0] - 1].tolist()) for row in ngrams.tokens]
        holding = {
            corpus.doc_ids[row]
            for row, text in enumerate(texts)
            for ngram in ids
            if any(tuple(text[at : at + len(ngram)]) == ngram for at in range(len(text)))
        }
        for ngram, count in zip(ids, ngrams.high - ngrams.low, strict=True):
            assert count == sum(tuple(t[at : at + len(ngram)]) == ngram for t in texts for at in range(len(t)))
        assert {hit.doc_id for hit in hits} <= holding


def test_documents_come_and_go(copy: Path):
    text = "violin violin anchor anchor rose violin anchor rose"  # n-grams that no other has
    before = load_retriever(copy).search(QUERIES, 80)
    add_documents(copy, Corpus.from_documents([Document("new", text)]))
    (hits,) = load_retriever(copy, beams=500, scoring="lm").search(["rose the"], 81)
    assert "new" in {hit.doc_id for hit in hits}, "it is found without teaching"
    assert check_run(copy) == []
    remove_documents(copy, ["new"])
    assert load_retriever(copy).search(QUERIES, 80) == before
    remove_documents(copy, ["doc0"])
    assert "doc0" not in {hit.doc_id for hits in load_retriever(copy).search(QUERIES, 80) for hit in hits}


def test_only_leaves_the_others_out(taught: Path, corpus: Corpus):
    retriever = load_retriever(taught)
    some = set(corpus.doc_ids[::3])
    for hits, restricted in zip(retriever.search(QUERIES, 80), retriever.search(QUERIES, 80, only=some), strict=True):
        assert [hit for hit in hits if hit.doc_id in some] == restricted


def test_how_it_is_asked(taught: Path):
    usual = load_retriever(taught)
    assert usual.settings == {"beams": 4, "scoring": "intersective"}
    assert usual.search(QUERIES, 80) == load_retriever(taught, beams=4, scoring="intersective").search(QUERIES, 80)
    answers = {scoring: load_retriever(taught, scoring=scoring).search(QUERIES, 80) for scoring in SCORINGS}
    assert all(hit.score <= 0 for hits in answers["lm"] for hit in hits), "log P"
    assert all(hit.score > 0 for name in ("lm-fm", "intersective") for hits in answers[name] for hit in hits)
    assert len({str(answer) for answer in answers.values()}) == 3
    assert load_retriever(taught, beams=40, scoring="lm").search(QUERIES, 80) != answers["lm"]
    with pytest.raises(InputError, match="scoring must be one of intersective, lm-fm, lm, not 'best'"):
        load_retriever(taught, scoring="best")
    with pytest.raises(InputError, match="beams must be above 0, not 0"):
        load_retriever(taught, beams=0)


def test_it_is_fused_with_words(taught: Path):
    hybrid = METHODS["hybrid"].open(taught, beams=3, weights=[0.0, 1.0])
    alone = load_retriever(taught, beams=3)
    for fused, hits in zip(hybrid.search(QUERIES, 5), alone.search(QUERIES, 5), strict=True):
        assert [hit.doc_id for hit in fused] == [hit.doc_id for hit in hits]


def test_from_the_command_line(home: Path, taught: Path, checkpoints: dict[str, Path], tmp_path: Path):
    flags = ("--method", "seal", "--backbone", checkpoints["bert"], "--ngram-tokens", 3, "--epochs", 1)
    answer = lmindexer("finetune", home / "run", "--queries", home / "queries.jsonl", "--out", tmp_path / "out", *flags,
                       "--device", "cpu")  # fmt: skip
    assert answer.code == 0, answer.err
    found = lmindexer("search", taught, "rose the", "-k", 3, "--beams", 3, "--scoring", "lm")
    assert found.code == 0, found.err
    assert "doc" in found.out
    both = lmindexer("search", taught, "rose the", "--method", "hybrid")
    assert both.code == 0, both.err
    assert "not fine-tuned" not in both.err
    assert lmindexer("evaluate", taught, "--method", "seal", "--method", "bm25").code == 0
    refused = lmindexer("search", taught, "rose", "--novelty", 2)
    assert "--novelty says how --method generative or hybrid or rescored is asked" in refused.err


def test_nothing_found_has_its_reason(taught: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(SealRetriever, "_answer", lambda self, questions, *_: [[] for _ in questions])
    answer = lmindexer("search", taught, "rose")
    assert "no n-gram that was generated is in the documents; try more --beams" in answer.err


# What it learns


def test_what_a_pair_reads_and_gives(home: Path, corpus: Corpus, checkpoints: dict[str, Path]):
    config = parse(FinetuneConfig, QUICK | {"backbone": str(checkpoints["bert"]), "document_share": 0.5, "ngrams": 6})
    model = TeachableSeal(Run.open(home / "run"), config)
    queries = load_queries(home / "queries.jsonl", None, "train", corpus.doc_ids)
    task = SearchTask([queries], {"train": queries}, corpus, config)
    texts, asks, starts = model._examples(task)
    pairs = len(task.target) - task.documents
    assert asks.shape == starts.shape == (len(task.target), 6)
    assert (model.index.documents_at(starts) == task.target[:, None]).all(), "an n-gram of the document that answers"
    for e in range(len(task.target)):
        expected = task.texts[task.source[e]]
        read = {texts[ask] for ask in asks[e].tolist()}
        assert read == {expected} if e < pairs else all(text in expected for text in read)
    lesson = model.lesson(task, home, QUIET)
    assert len(lesson.epoch(np.random.default_rng(0))) == pairs + 40
    assert set(lesson.losses(task.source[:4])) == {"loss"}


@pytest.mark.parametrize("encoder", ["full", "frozen"])
def test_stopped_and_resumed_it_ends_the_same(
    home: Path, encoder: str, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    how = QUICK | {"queries": home / "queries.jsonl", "progress": QUIET, "dropout": 0.3, "checkpoint_seconds": 0.0}
    how |= {"backbone": str(checkpoints["bert"]), "batch_size": 16, "epochs": 2, "encoder": encoder}
    teach_whole_and_stopped(partial(finetune, home / "run", **how), tmp_path, monkeypatch)
    ends = [load_retriever(tmp_path / name).search(QUERIES, 80) for name in ("whole", "out")]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"warmup_epochs": 3}, "warmup_epochs is a setting of generative, not of seal to search"),
        ({"suffix": False}, "suffix is a setting of generative, not of seal"),
        ({"held_out": 0.1}, "held_out is a setting of generative, not of seal"),
        ({"ngram_tokens": 0}, "ngram_tokens must be above 0, not 0"),
        ({"ngrams": 0}, "ngrams must be above 0, not 0"),
        ({"ngram_temperature": 0.0}, "ngram_temperature must be above 0, not 0.0"),
        ({"unigrams": -1}, "unigrams must not be negative"),
        ({"decoder_layers": 0}, "decoder_layers must be above 0, not 0"),
        ({"scoring": "sum"}, "scoring must be one of intersective, lm-fm, lm, not 'sum'"),
        ({"backbone": "nowhere/to-be-found"}, "cannot load the model 'nowhere/to-be-found'"),
        *(
            ({"method": "generative", name: value}, f"{name} is a setting of seal.*, not of generative")
            for name, value in (
                ("ngram_tokens", 5), ("ngrams", 5), ("ngram_temperature", 2.0), ("scoring", "lm"), ("unigrams", 5),
                ("backbone", "bundled"), ("decoder_layers", 2),
            )
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(home: Path, settings: dict[str, Any], reason: str, tmp_path: Path):
    with pytest.raises(InputError, match=reason):
        finetune(home / "run", tmp_path / "out", queries=home / "queries.jsonl", **({"method": "seal"} | settings),
                 progress=QUIET)  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_histories_are_refused(home: Path, corpus: Corpus, tmp_path: Path):
    with pytest.raises(InputError, match="seal searches; name the --queries that it learns from, and no SEQUENCES"):
        finetune(home / "run", tmp_path / "out", sequences={"u": ["doc1", "doc2", "doc3"]}, method="seal")
    with pytest.raises(
        InputError, match=r"run was not taught seal; run lmindexer finetune RUN --queries QUERIES --method seal"
    ):
        load_retriever(home / "run", "seal")


def test_a_damaged_one_is_refused(copy: Path):
    Run.open(copy).update(files={})  # so that no digest tells
    (copy / "seal.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"seal\.safetensors cannot be read .*fine-tune anew"):
        load_retriever(copy)
