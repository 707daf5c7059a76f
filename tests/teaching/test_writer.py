"""A tiny model learns to write queries: by heart, the same when stopped, from nothing that it is judged by."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmindexer.config import WritingConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.model.query_writer import load_query_writer
from lmindexer.progress import Progress
from lmindexer.questions.queries import Queries
from lmindexer.teaching import writer as training
from lmindexer.teaching.writer import Pairs, loss_of, mean_loss, train_writer
from lmindexer.training import Trainer
from small_tasks import QUIET, learn, write_jsonl

TRAIN = {"old rose": ["doc0"], "the pan and the oven": ["doc3"], "new mast": ["doc6"], "violin of the choir": ["doc9"]}
DEV = {f"{text} {text}": doc_ids for text, doc_ids in TRAIN.items()}
BY_HEART: dict[str, Any] = {
    "epochs": 80, "patience": 0, "learning_rate": 8e-3, "batch_size": 4, "dropout": 0.0, "device": "cpu",
    "precision": "fp32", "progress": QUIET,
}  # fmt: skip
QUICK = BY_HEART | {"epochs": 2, "batch_size": 1, "dropout": 0.1}
GREEDY = WritingConfig(beams=1, precision="fp32")


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def run(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn(corpus, tmp_path_factory.mktemp("runs") / "run")


def log_of(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [{name: x for name, x in line.items() if name != "seconds"} for line in lines]


@pytest.mark.parametrize("name", ["t5", "bart", "bert"])
def test_a_trained_writer_writes_what_it_learned_by_heart(
    name: str, run: Path, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of `bert` a pair is made."""
    out, losses = tmp_path / "writer", [1.0] * BY_HEART["epochs"] + [0.0]  # the last epoch is the best
    monkeypatch.setattr(training, "mean_loss", lambda *_: losses.pop(0))
    train_writer(run, str(checkpoints[name]), out, queries=TRAIN, dev=DEV, **BY_HEART)
    _, first, *_, last = log_of(out)
    assert last["loss"] < first["loss"] / 10
    written = load_query_writer(str(out), "cpu").write([corpus[3 * n].text for n in range(4)], 1, GREEDY)
    assert [query.replace(" ##", "") for (query,) in written] == list(TRAIN)


def test_the_loss_of_dev_chooses_the_epoch(
    run: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """After two epochs that are no better it stops, and the best one is what is kept."""
    losses = iter([5.0, 3.0, 2.0, 2.5, 2.0, 1.0])  # the first is before training
    monkeypatch.setattr(training, "mean_loss", lambda *_: next(losses))
    at_epoch: list[torch.Tensor] = []
    keep = Trainer.keep

    def seen(trainer: Any, name: str) -> None:
        at_epoch.append(trainer.modules.get_input_embeddings().weight.detach().clone())
        keep(trainer, name)

    monkeypatch.setattr(Trainer, "keep", seen)
    out = tmp_path / "writer"
    train_writer(run, str(checkpoints["t5"]), out, queries=TRAIN, dev=DEV, **QUICK | {"epochs": 9, "patience": 2})
    facts = json.loads((out / "writer.json").read_text())
    assert (facts["state"], facts["best_epoch"], facts["dev_loss"]) == ("finished", 2, 2.0)
    assert [line.get("epoch") for line in log_of(out)] == [None, 1, 2, 3, 4]
    assert len(at_epoch) == 3
    kept = load_query_writer(str(out), "cpu").backbone.model.get_input_embeddings().weight
    assert torch.equal(kept, at_epoch[-1])
    assert not torch.equal(kept, at_epoch[-2])


def test_transformers_opens_it(run: Path, checkpoints: dict[str, Path], tmp_path: Path):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    out = tmp_path / "writer"
    train_writer(run, str(checkpoints["bart"]), out, queries=TRAIN, dev=DEV, **QUICK, max_tokens=7)
    assert sorted(path.name for path in out.iterdir() if path.name != ".lock") == [
        "config.json", "generation_config.json", "log.jsonl", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json", "writer.json",
    ]  # fmt: skip
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    assert model.generation_config.no_repeat_ngram_size in (None, 0), "no habit of the checkpoint's own task is kept"
    assert model.generation_config.decoder_start_token_id == 2
    assert tokenizer.model_max_length == 7
    assert load_query_writer(str(out), "cpu").reads == 7


def test_stopped_and_resumed_it_is_the_same(
    run: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    how = QUICK | {"queries": TRAIN, "dev": DEV, "checkpoint_seconds": 0.0}
    train_writer(run, str(checkpoints["t5"]), tmp_path / "whole", **how)
    losses, left = training.loss_of, [0]

    def loss_or_stop(*arguments: Any) -> torch.Tensor:
        left[0] -= 1
        if not left[0]:
            raise StoppedError
        return losses(*arguments)

    for stop in (1, 6):
        left[0] = stop
        monkeypatch.setattr(training, "loss_of", loss_or_stop)
        out = tmp_path / f"stopped{stop}"
        with pytest.raises(StoppedError):
            train_writer(run, str(checkpoints["t5"]), out, **how)
        with pytest.raises(InputError, match=r"the training of the writer in .* is not finished; go on with"):
            load_query_writer(str(out), "cpu")
        monkeypatch.setattr(training, "loss_of", losses)
        train_writer(run, str(checkpoints["t5"]), out, **how, resume=True)
        assert (out / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
        assert log_of(out) == log_of(tmp_path / "whole")


def test_test_queries_are_never_learned_from_nor_chosen_by(
    run: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nor is a training or dev query of the same words, whatever its case and white space."""
    split = {
        "train": ["old rose", "Frost  of the oven", "new mast", "the same as dev"],
        "dev": ["violin and choir", "hail of the tide", "The Same as dev"],
        "test": ["frost of the oven", "hail of the tide", "sunshine"],
    }
    lines: list[dict[str, object]] = [
        {"query": text, "item_ids": [f"doc{n}"], "split": name} for name, texts in split.items()
        for n, text in enumerate(texts)
    ]  # fmt: skip
    queries = write_jsonl(tmp_path / "queries.jsonl", lines)
    read: list[list[str]] = []
    of = Pairs.of

    def seen(backbone: Any, max_tokens: int, corpus: Corpus, texts: list[str], *pairs: np.ndarray) -> Pairs:
        read.append(list(texts))
        return of(backbone, max_tokens, corpus, texts, *pairs)

    monkeypatch.setattr(training.Pairs, "of", seen)
    train_writer(run, str(checkpoints["t5"]), tmp_path / "writer", queries=queries, **QUICK)
    assert read == [["old rose", "new mast"], ["violin and choir", "The Same as dev"]]


def test_the_loss_by_hand(corpus: Corpus, checkpoints: dict[str, Path]):
    """Of two queries behind their documents: each token's -log p after those before it, by the weights of the pairs."""
    backbone = load_query_writer(str(checkpoints["t5"]), "cpu", to_train=True).backbone
    texts, rows, weight = ["old rose", "the pan and the oven"], np.array([5, 2]), np.array([1.0, 0.25], np.float32)
    pairs = Pairs.of(backbone, 64, corpus, texts, np.arange(2), rows, weight)
    total = weights = 0.0
    for n, text in enumerate(texts):
        ids = torch.tensor([backbone.tokenizer(corpus[int(rows[n])].text)["input_ids"]])
        labels = torch.tensor([backbone.tokenizer(text)["input_ids"]])
        assert labels[0, -1] == backbone.model.config.eos_token_id, "it learns to stop"
        with torch.no_grad():
            mean = float(backbone.model(input_ids=ids, labels=labels).loss)  # as transformers has it
        total, weights = total + float(weight[n]) * mean * labels.shape[1], weights + float(weight[n]) * labels.shape[1]
    with torch.no_grad():
        assert float(loss_of(backbone, pairs, np.arange(2))) == pytest.approx(total / weights, abs=1e-5)
    assert mean_loss(backbone, pairs, 1) == pytest.approx(total / weights, abs=1e-5)


def test_a_graded_document_weighs_less(
    run: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    weights: list[list[float]] = []
    of = Pairs.of

    def seen(*arguments: Any) -> Pairs:
        weights.append(arguments[-1].tolist())
        return of(*arguments)

    monkeypatch.setattr(training.Pairs, "of", seen)
    graded = {"old rose": {"doc0": 2, "doc5": 1}, "new mast": {"doc6": 3}}
    train_writer(run, str(checkpoints["t5"]), tmp_path / "writer", queries=graded, dev=DEV, **QUICK)
    assert weights[0] == [1.0, 0.5, 1.0]


def test_a_finished_writer_stays_and_another_training_is_refused(
    run: Path, checkpoints: dict[str, Path], tmp_path: Path
):
    """`pair` says nothing of where a text begins: it learns from what its tokenizer says."""
    out, how = tmp_path / "writer", QUICK | {"queries": TRAIN, "dev": DEV, "epochs": 1}
    train_writer(run, str(checkpoints["pair"]), out, **how)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    train_writer(run, str(checkpoints["pair"]), out, **how, resume=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(InputError, match="exists already; go on with --resume, or choose another --model-out"):
        train_writer(run, str(checkpoints["pair"]), out, **how)
    for changed in ({"epochs": 3}, {"queries": DEV, "dev": TRAIN}, {"seed": 1}):
        with pytest.raises(InputError, match="was begun with another model, other data or other settings"):
            train_writer(run, str(checkpoints["pair"]), out, **how | changed, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("")
    with pytest.raises(InputError, match="no training of a writer was begun there"):
        train_writer(run, str(checkpoints["pair"]), tmp_path / "other", **how, resume=True)


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("qwen2", {}, "goes on from a text and does not write"),
        ("distilbert", {}, "no decoder can be made of the model"),
        ("t5", {"dropout": 1.0}, "dropout must be below 1"),
        ("t5", {"epochs": 0}, "epochs must be above 0"),
        ("t5", {"top_k": 3}, "unknown key 'top_k'"),
        ("t5", {"device": "abacus"}, "no device 'abacus'"),
        ("t5", {"queries": {"rose": ["nowhere"]}}, "to none of 1 queries .* is any document of the corpus relevant"),
    ],
)
def test_what_cannot_be_trained_leaves_nothing(
    name: str, settings: dict[str, Any], told: str, run: Path, checkpoints: dict[str, Path], tmp_path: Path
):
    how = QUICK | {"queries": TRAIN, "dev": DEV} | settings
    with pytest.raises(InputError, match=told):
        train_writer(run, str(checkpoints[name]), tmp_path / "writer", **how)
    assert not (tmp_path / "writer").exists()


def test_queries_may_be_a_file_with_its_splits_or_queries_in_memory(
    run: Path, checkpoints: dict[str, Path], tmp_path: Path
):
    queries = Queries.of(TRAIN)
    train_writer(run, str(checkpoints["t5"]), tmp_path / "writer", queries=queries, progress=Progress(None),
                 epochs=1, device="cpu")  # fmt: skip
    assert json.loads((tmp_path / "writer" / "writer.json").read_text())["pairs"] == 3, "one was kept apart for dev"
