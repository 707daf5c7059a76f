"""bench/ids.py: a table over indexers on a tiny data set, asked once; what is asked; search by codes by hand."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmindexer.corpus.documents import Corpus
from paper_command import FINETUNE, LEARN, ROOT, rows, write_data_set


@pytest.fixture(scope="module")
def home(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, and a folder for runs that the tests of this module share."""
    folder = tmp_path_factory.mktemp("ids")
    write_data_set(folder / "tiny", corpus)
    return folder


@pytest.fixture
def call(home: Path, checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))

    def call(*more: object) -> str:
        from bench import ids

        arguments = ["--corpora", home / "tiny", "--out", home / "runs", "--seeds", "0", "--quiet"]
        for setting in (*LEARN, f"backbone={checkpoints['bert']}", f"embeddings={checkpoints['bert']}"):
            arguments += ["--learn", setting]
        for setting in FINETUNE:
            arguments += ["--finetune", setting]
        monkeypatch.setattr(sys, "argv", ["ids", *map(str, (*arguments, *more))])
        ids.main()
        return str(capsys.readouterr().out)

    return call


def test_every_row_is_judged_and_asked_once(call: Any, home: Path, monkeypatch: pytest.MonkeyPatch):
    named = ("--row", "crop", "view=crop", "commit_crop=1", "--only", "LMIndexer,rq-VAE,residual,crop", "--no-teach")
    first = call(*named)
    assert list(rows(first))[1:5] == ["LMIndexer", "rq-VAE", "residual K-means", "crop"]
    for title in ("IDs by themselves", "zero-shot: half", "zero-shot: title", "zero-shot: queries"):
        assert f"| {title} |" in first
    assert "fine-tuned" not in first
    kept = json.loads((home / "runs/tiny/ids.json").read_text())["rows"]
    assert kept.keys() == {"LMIndexer", "rq-VAE", "residual K-means", "crop"}
    report = json.loads((home / "runs/tiny/crop-0/report.json").read_text())
    assert kept["crop"]["ids"][0]["AMI(c1)"] == report["quality"]["lmindexer"]["labels"][-1]["ami"][0]
    assert kept["crop"]["ids"][0]["told apart"] == 1 - report["quality"]["lmindexer"]["sharing"] / 80

    from bench import ids

    monkeypatch.setattr(ids, "evaluate_methods", None)
    assert call(*named) == first, "nothing is asked a second time"


def test_all_are_taught_alike_and_asked_again(call: Any):
    answer = call("--only", "residual")
    assert "| fine-tuned: half |" in answer, "too few queries to learn from"
    assert "fine-tuned: half" in answer.splitlines()[-1]


def test_halves_are_half_of_the_words_and_always_the_same(call: Any):
    from bench.ids import halves

    from lmindexer.corpus.documents import Document

    text = " ".join(f"w{n}" for n in range(9))
    corpus = Corpus.from_documents([Document("a", text, ()), Document("b", "too short", ())])
    asked = halves(corpus)
    assert asked.texts == halves(corpus).texts
    assert asked.relevant == ({"a": 1.0},)
    assert len(asked.texts[0].split()) == 4
    assert asked.texts[0] in text


def test_queries_of_one_text_are_for_all_their_documents(call: Any):
    from bench.ids import as_queries

    from lmindexer.questions.pseudo_queries import PseudoQuery

    made = [PseudoQuery("a", "x", ""), PseudoQuery("b", "x", ""), PseudoQuery("c", "y", "")]
    assert dict(zip(as_queries(made).texts, as_queries(made).relevant, strict=True)) == {
        "x": {"a": 1.0, "b": 1.0}, "y": {"c": 1.0},
    }  # fmt: skip
    assert len(as_queries(made, 1)) == 1


@pytest.mark.parametrize("indexer", ["rq-kmeans", "rq-vae"])
def test_search_by_codes_by_hand(indexer: str, call: Any, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    from bench.by_codes import ByCodes

    from lmindexer.indexers.two_step import TwoStepIndexer

    run = tmp_path / "run"
    settings: dict[str, Any] = {"sizes": (6, 4), "device": "cpu"}
    settings |= {"vae_epochs": 3} if indexer == "rq-vae" else {}
    fitted = TwoStepIndexer(indexer=indexer, embeddings=str(checkpoints["bert"]), **settings).fit(corpus, run)
    assert fitted.ids is not None
    texts = corpus.texts(range(5))
    vectors = fitted.vectors(Corpus.from_documents(corpus[row] for row in range(5)))
    points = torch.nn.functional.normalize(vectors.float(), dim=1)
    if indexer == "rq-vae":
        quantiser: Any = fitted.quantiser
        points = quantiser.encoder((points - quantiser.mean) / quantiser.spread)
    books = [book.numpy() for book in fitted.quantiser.books]  # type: ignore[union-attr]
    documents = sum(book[fitted.ids.paths[:, t]] for t, book in enumerate(books))
    distances = np.linalg.norm(points.numpy()[:, None] - documents[None], axis=2)
    for hits, distance in zip(ByCodes(run).answer(texts, 20), distances, strict=True):
        of_hits = [distance[corpus.row_of[hit.doc_id]] for hit in hits]
        assert of_hits == pytest.approx(sorted(distance)[:20], abs=1e-4)


def test_debians_lists_become_documents_with_their_synopses(call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from bench import corpora

    long, names = "word " * 20, ("pan", "pot", "no")
    texts = {
        "a_Packages.lz4": "Package: pan\nSection: games\nTag: x,\n y\n\nPackage: pot\nSection: math\n\nPackage: no\n",
        "a_Translation-en.lz4": "".join(
            f"Package: {name}\nDescription-en: about {name}\n {name} {long}\n .\n more\n\n" for name in names
        ) + "Package: tiny\nDescription-en: s\n short\n",
    }  # fmt: skip
    for name in texts:
        (tmp_path / name).touch()

    def run(command: list[Any], **how: Any) -> Any:
        return type("Ran", (), {"stdout": texts[command[-1].name].encode()})

    monkeypatch.setattr(corpora.subprocess, "run", run)
    corpora.write_debian(tmp_path / "out", tmp_path, 10)
    documents = Corpus.read([tmp_path / "out/corpus.jsonl"], text=("text",), label="section")
    assert documents.doc_ids == ("pan", "pot")
    assert documents.labels == [("games",), ("math",)]
    assert documents.texts()[0] == f"pan {long}more"
    asked = [json.loads(line) for line in (tmp_path / "out/queries.jsonl").read_text().splitlines()]
    assert [(query["query"], query["item_ids"]) for query in asked] == [("about pan", ["pan"]), ("about pot", ["pot"])]
