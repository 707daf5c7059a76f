"""The dual encoder: what is minimised, what it is told apart from, and that it is kept, asked and goes on."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from command_line import lmindexer
from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.changes import add_documents, remove_documents
from lmindexer.indexers.check import check_run
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.dual_encoder.encoder import features, load_encoder, vectors
from lmindexer.methods.dual_encoder.negatives import batches_apart, hard_negatives
from lmindexer.methods.dual_encoder.retriever import ENCODER, KEPT
from lmindexer.methods.dual_encoder.teachable import TeachableDualEncoder, ranking_loss
from lmindexer.methods.registry import METHODS, TEXT, load_retriever
from lmindexer.methods.retriever import Retriever
from lmindexer.progress import Progress
from lmindexer.questions.queries import Queries
from lmindexer.questions.search_task import SearchTask
from lmindexer.runs import Run
from lmindexer.settings import parse
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import FILLERS, QUIET, WORDS, learn, teach_whole_and_stopped, write_queries

sentence_transformers = pytest.importorskip("sentence_transformers")

CPU = torch.device("cpu")
QUICK = {"method": "dual-encoder", "device": "cpu", "precision": "fp32", "max_tokens": 16, "batch_size": 4}
BY_HEART = QUICK | {
    "epochs": 15, "learning_rate": (1e-3,), "dropout": 0.0, "dev_metric": "mrr@80", "patience": 0, "hard_negatives": 8,
    "batch_size": 8,
}  # fmt: skip
DEV = [f"{word} {FILLERS[0]}" for word in WORDS]


@pytest.fixture(scope="module")
def home(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dual")
    write_queries(folder / "queries.jsonl")
    learn(corpus, folder / "run", indexer="none")
    return folder


@pytest.fixture(scope="module")
def taught(home: Path, checkpoints: dict[str, Path]) -> Path:
    how = BY_HEART | {"queries": home / "queries.jsonl", "backbone": str(checkpoints["bert"]), "progress": QUIET}
    asked = finetune(home / "run", home / "taught", **how).search(DEV, 5)
    assert load_retriever(home / "taught").search(DEV, 5) == asked, "what is loaded answers as what was taught"
    return home / "taught"


# What is minimised


class Fixed(nn.Module):
    """Gives the vectors that it is given."""

    def forward(self, read: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": read["vectors"]}


def test_the_loss_by_hand():
    """Two queries along the axes; of the documents of the first one is its own, and one at 45 degrees."""
    queries, documents = torch.eye(2), torch.tensor([[2.0, 0.0], [1.0, 1.0]])
    negatives = torch.tensor([[0.0, 3.0], [-1.0, 0.0]])
    loss = ranking_loss(Fixed(), temperature=0.5, at_once=0)
    value = loss([{"vectors": x} for x in (queries, documents, negatives)])
    half = 2 * np.sqrt(0.5)  # cosine of 45 degrees, over the temperature
    first = -np.log(np.exp(2) / (np.exp(2) + np.exp(half) + np.exp(0) + np.exp(-2)))
    second = -np.log(np.exp(half) / (np.exp(0) + np.exp(half) + np.exp(2) + np.exp(0)))
    assert value.item() == pytest.approx((first + second) / 2, rel=1e-5)


def lesson_of(
    home: Path, checkpoints: dict[str, Path], **settings: Any
) -> tuple[TeachableDualEncoder, Any, SearchTask]:
    how = {"dropout": 0.0, "backbone": str(checkpoints["bert"])} | QUICK | settings
    config = parse(FinetuneConfig, how)
    model = TeachableDualEncoder(Run.open(home / "run"), config)
    train = Queries.read(home / "queries.jsonl", "train", documents=model.corpus)
    dev = Queries.read(home / "queries.jsonl", "dev", documents=model.corpus)
    task = SearchTask([train], {"train": train, "dev": dev}, model.corpus, config)
    return model, model.lesson(task, home, Progress(None)), task


def gradients(model: TeachableDualEncoder) -> dict[str, Tensor]:
    return {name: p.grad for name, p in model.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("bf16", [False, True])
def test_the_gradient_reaches_all_that_is_read_with(home: Path, checkpoints: dict[str, Path], bf16: bool):
    model, lesson, _ = lesson_of(home, checkpoints, precision="bf16" if bf16 else "fp32")
    (batch, *_) = lesson.batches(lesson.epoch(np.random.default_rng(0)), np.random.default_rng(0))
    losses = lesson.losses(batch)
    losses["loss"].backward()
    found = gradients(model)
    assert {name for name, _ in model.model.named_parameters() if "pooler" not in name} == found.keys()
    still = {name for name, gradient in found.items() if not gradient.abs().sum() > 0}
    assert all(name.endswith("key.bias") for name in still), "what is added to all keys alike changes no attention"


def test_in_parts_it_is_the_same(home: Path, checkpoints: dict[str, Path]):
    ends = []
    for at_once in (0, 3):
        model, lesson, _ = lesson_of(home, checkpoints, texts_at_once=at_once)
        value = lesson.losses(np.array([0, 2, 4, 6]))["loss"]
        value.backward()
        ends.append((value.detach(), gradients(model)))
    torch.testing.assert_close(ends[0][0], ends[1][0], rtol=1e-5, atol=1e-6)
    for name, gradient in ends[0][1].items():
        torch.testing.assert_close(gradient, ends[1][1][name], rtol=1e-3, atol=1e-5, msg=name)


def test_what_is_read_is_the_pair_and_its_negatives(home: Path, checkpoints: dict[str, Path], monkeypatch: Any):
    read: list[tuple[str, list[str]]] = []
    where = "lmindexer.methods.dual_encoder.teachable.features"
    monkeypatch.setattr(where, lambda model, texts, kind: read.append((kind, texts)) or features(model, texts, kind))
    model, lesson, task = lesson_of(home, checkpoints, hard_negatives=2)
    assert len(task.target) == 2 * len(WORDS), "no document is read as if it were a query"
    lesson.losses(np.array([3, 0]))
    kinds, columns = [kind for kind, _ in read], [texts for _, texts in read]
    assert kinds == ["query", "document", "document", "document"]
    assert columns[0] == [task.texts[task.source[3]], task.texts[task.source[0]]]
    assert columns[1] == model.corpus.texts(task.target[[3, 0]])
    assert not {*columns[2], *columns[3]} & set(columns[1])


# What it is told apart from

TEXTS = ["a red rose", "a rose and a rose", "rose rose rose garden", "thunder", "an old storm", "roses at home"]


def corpus_of(texts: list[str]) -> Corpus:
    return Corpus.from_documents(Document(f"d{n}", text) for n, text in enumerate(texts))


def test_hard_negatives_are_the_first_by_bm25_that_are_not_relevant():
    words = Bm25Retriever(corpus_of(TEXTS))
    ranked = [int(hit.doc_id[1:]) for hit in words.search(["rose"], 6)[0]]
    assert sorted(ranked) == [0, 1, 2, 5]
    right = {ranked[0], ranked[2]}
    assert hard_negatives(words, ["rose"], [right], 2, 0).tolist() == [[ranked[1], ranked[3]]]
    more = hard_negatives(words, ["rose", "xylophone"], [right, {3}], 3, 0)
    assert more[0, :2].tolist() == [ranked[1], ranked[3]]
    assert more[0, 2] in {3, 4}, "no word is left to go by"
    assert len({*more[1].tolist(), 3}) == 4
    assert hard_negatives(words, ["rose"], [{0, 1, 2, 3, 5}], 3, 0).tolist() == [[4]], "no more are there"
    assert hard_negatives(words, ["rose"], [set(range(6))], 3, 0).shape == (1, 0)


def test_no_document_of_a_batch_answers_the_question_of_another_pair():
    dice = np.random.default_rng(0)
    relevant = [set(dice.choice(30, 2, replace=False).tolist()) for _ in range(40)]
    pairs = [(q, row) for q, right in enumerate(relevant) for row in right]
    sources = np.array([q for q, _ in pairs])
    read = [[row, int(dice.choice([n for n in range(30) if n not in relevant[q]]))] for q, row in pairs]
    order = dice.permutation(len(pairs))
    batches = batches_apart(order, sources, read, relevant, 6)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(pairs)))
    assert max(map(len, batches)) == 6
    assert batches[0][0] == order[0]
    for batch in batches:
        for one in batch:
            for other in batch:
                assert one == other or not relevant[sources[one]] & set(read[other])


# Kept, asked, changed


def test_it_learns_by_heart_and_is_kept(taught: Path, home: Path, checkpoints: dict[str, Path], corpus: Corpus):
    losses = [json.loads(line)["loss"] for line in (taught / "log.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.2 * losses[0]
    dev = Queries.read(home / "queries.jsonl", "dev", documents=corpus).questions

    def metric(retriever: Retriever) -> float:
        return dev.judged([[hit.doc_id for hit in hits] for hits in retriever.search(DEV, 80)], "mrr@80")

    best = json.loads((taught / "finetune.json").read_text())["best"]
    assert metric(load_retriever(taught)) == pytest.approx(best, abs=1e-6), "the best epoch is kept"
    assert best > metric(load_retriever(home / "run", "dense", backbone=str(checkpoints["bert"]))) + 0.1
    listed = json.loads((taught / "run.json").read_text())["files"]
    assert f"{ENCODER}/model.safetensors" in listed
    assert KEPT not in listed, "it can be made again"
    assert check_run(taught) == []


def test_its_folder_is_one_of_sentence_transformers(taught: Path):
    theirs = sentence_transformers.SentenceTransformer(str(taught / ENCODER), device="cpu")
    assert theirs.max_seq_length == 16
    ours = load_encoder(str(taught / ENCODER), 16, CPU, False)
    torch.testing.assert_close(
        vectors(ours, DEV, "query"), theirs.encode(DEV, convert_to_tensor=True, normalize_embeddings=True)
    )


def test_equal_texts_have_equal_vectors_and_prompts_stand_before_them(checkpoints: dict[str, Path]):
    model = load_encoder(str(checkpoints["bert"]), 16, CPU, False)
    one, _, again = vectors(model, ["rose", "an old rose in the soil", "rose"], "document")
    assert torch.equal(one, again)
    assert one.norm().item() == pytest.approx(1)
    prompted = vectors(model, ["old rose"], "query")
    model.prompts = {"passage": "old "}
    torch.testing.assert_close(vectors(model, ["rose"], "query")[0], one)
    torch.testing.assert_close(vectors(model, ["rose"], "document"), prompted)


def test_documents_come_and_go(taught: Path, tmp_path: Path):
    run = Path(shutil.copytree(taught, tmp_path / "run"))
    before = load_retriever(run).search(["violin old"], 80)[0]
    add_documents(run, Corpus.from_documents([Document("later", "violin old")]))
    after = load_retriever(run).search(["violin old"], 81)[0]
    assert after[0].doc_id == "later", "it has the text of the query"
    assert [hit for hit in after if hit.doc_id != "later"] == before
    remove_documents(run, ["later", before[0].doc_id])
    assert load_retriever(run).search(["violin old"], 80)[0] == before[1:]
    (run / KEPT).unlink()
    assert load_retriever(run).search(["violin old"], 80)[0] == before[1:]


def test_stopped_and_resumed_it_ends_the_same(
    home: Path, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    how = QUICK | {"queries": home / "queries.jsonl", "backbone": str(checkpoints["bert"]), "progress": QUIET}
    how |= {"epochs": 2, "dropout": 0.3, "checkpoint_seconds": 0.0}
    teach_whole_and_stopped(partial(finetune, home / "run", **how), tmp_path, monkeypatch)
    ends = [load_retriever(tmp_path / name).search(DEV, 80) for name in ("whole", "out")]
    assert ends[0] == ends[1]


def test_what_does_not_fit_is_refused(home: Path, taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    queries = ("--queries", home / "queries.jsonl", "--method", "dual-encoder", "--out", tmp_path / "out")
    for more, reason in (
        (("--beams", 3), "beams is a setting of generative or seal, not of dual-encoder to search; leave it out"),
        (("--temperature", 0), "temperature must be above 0"),
        (("--backbone", tmp_path), f"cannot load '{tmp_path}' as a dual encoder"),
    ):
        answer = lmindexer("finetune", home / "run", *queries, *more)
        assert (answer.code, reason in answer.err) == (2, True), answer.err
    answer = lmindexer("search", home / "run", "rose", "--method", "dual-encoder")
    assert "was not taught dual-encoder; run lmindexer finetune RUN --queries QUERIES --method dual" in answer.err
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    answer = lmindexer("search", taught, "rose")
    assert "which is not installed; run: pip install 'lmindexer[dual-encoder]'" in answer.err
    assert not (tmp_path / "out").exists()


def test_a_run_without_its_encoder_is_refused(taught: Path, tmp_path: Path):
    run = Path(shutil.copytree(taught, tmp_path / "run"))
    with (run / ENCODER / "model.safetensors").open("r+b") as file:
        file.write(b"0")
    with pytest.raises(InputError, match=r"model\.safetensors is damaged"):
        METHODS["dual-encoder"].open(run, TEXT)
    Run.open(run).update(files={})
    shutil.rmtree(run / ENCODER)
    with pytest.raises(InputError, match="dual_encoder is missing; fine-tune anew"):
        METHODS["dual-encoder"].open(run, TEXT)
