"""What fine-tuning minimises (Eq. 14), by hand: which pairs an epoch reads, what learns, and at which rate."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.methods.generative.folder import begin_model
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.generative.teachable import TeachableGenerator
from lmindexer.methods.teachable import TeachingState
from lmindexer.model.decoder import unit_rms
from lmindexer.questions.queries import Queries
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.settings import parse
from lmindexer.teaching import train as training
from lmindexer.training import Stage, filled
from small_learner import ReachedError, Recorder, losses_of
from small_tasks import QUIET, learn, write_sequences

SETTINGS = {
    "device": "cpu",
    "precision": "fp32",
    "dropout": 0.0,
    "batch_size": 16,
    "encoder": "full",
    "document_share": 0.25,
}
TRAIN = Queries(
    ("a", "b", "c"),
    ("old rose", "new pan", "a small mast"),
    ({"doc3": 1.0, "doc70": 4.0}, {"doc8": 2.0}, {"doc40": 1.0, "doc41": 2.0}),
)
DEV = Queries(("d",), ("rose and pan",), ({"doc1": 1.0},))


@pytest.fixture(scope="module", params=["lmindexer", "rq-kmeans"])
def run(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """IDs that the model learned, or that it has never seen."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    bert = str(checkpoints["bert"])
    return learn(corpus, folder, indexer=request.param, backbone=bert, embeddings=bert)


@dataclass
class Reached:
    """A stage of fine-tuning when it is handed to the trainer, and what it works on."""

    stage: Stage
    trainer: Recorder[TeachingState]
    teachable: TeachableGenerator
    task: Task
    folder: Path

    @property
    def finetuned(self) -> GenerativeModel:
        return self.teachable.model

    @property
    def codes(self) -> Tensor:
        """(N, T + 1): with the suffix."""
        return torch.from_numpy(self.finetuned.ids.paths).long()


@pytest.fixture
def reach(run: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def reach(name: str, **settings: Any) -> Reached:
        folder = tmp_path / "run"
        shutil.copytree(run, folder)
        config = parse(FinetuneConfig, SETTINGS | settings)
        model, trainers = TeachableGenerator(Run.open(folder), config), list[Recorder[TeachingState]]()
        monkeypatch.setattr(
            training, "Trainer", lambda **given: trainers.append(Recorder(**given, until=name)) or trainers[0]
        )
        task: Task
        if config.task == "search":
            task = SearchTask([TRAIN], {"dev": DEV}, corpus, config)
        else:
            taken = write_sequences(tmp_path / "taken.txt", corpus)
            task = RecommendTask(load_sequences(taken, corpus.doc_ids), corpus, config)
        with pytest.raises(ReachedError):
            training.train(Run.open(folder), model, task, QUIET)
        return Reached(trainers[0].stages[name], trainers[0], model, task, folder)

    return reach


@torch.no_grad()
def nats_by_hand(reached: Reached, pairs: np.ndarray, smoothing: float) -> Tensor:
    """-log P of the ID of each pair's document, code after code: (E,)."""
    model, task = reached.finetuned.model.eval(), reached.task
    memory = reached.teachable.read(task, reached.folder).memory(task.source[pairs])
    codes, nats = reached.codes[task.target[pairs]], torch.zeros(len(pairs))
    for t, codebook in enumerate(model.codebooks):
        hidden = model(memory, codes[:, :t])[:, -1]
        log_p = (hidden @ codebook.weight.T / model.backbone.dim**0.5 + codebook.prior).log_softmax(1)
        nats -= (1 - smoothing) * log_p.gather(1, codes[:, t : t + 1])[:, 0] + smoothing * log_p.mean(1)
    return nats


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_a_task_by_hand(reach: Any, smoothing: float):
    reached = reach("search", label_smoothing=smoothing)
    assert reached.task.weight[:5].tolist() == [0.25, 1, 1, 0.5, 1]
    assert [reached.finetuned.ids.doc_ids[row] for row in reached.task.target[:5]] == [
        "doc3",
        "doc70",
        "doc8",
        "doc40",
        "doc41",
    ]
    pairs = np.array([0, 1, 3, 4, 9, 60])
    nats, weight = nats_by_hand(reached, pairs, smoothing), torch.from_numpy(reached.task.weight[pairs])
    assert reached.stage.losses(pairs)["loss"].item() == pytest.approx((nats @ weight / weight.sum()).item(), rel=1e-4)


def test_an_epoch_reads_all_pairs_and_a_share_of_the_documents(reach: Any):
    reached = reach("search")
    own = 5
    epochs = [np.concatenate(reached.stage.batches(np.random.default_rng(seed))) for seed in range(2)]
    for pairs in epochs:
        assert sorted(pairs[pairs < own]) == list(range(own))
        documents = pairs[pairs >= own]
        assert len(documents) == len(set(documents)) == 20, "a quarter of 80"
        assert (reached.task.target[documents] == documents - own).all()
    assert set(epochs[0]) != set(epochs[1])


RATES = {"learning_rate": (2.0,), "encoder_learning_rate": 4.0, "weight_decay": 0.5}


@pytest.mark.parametrize("settings", [{"encoder": "full"}, {"encoder": "frozen"},
                                      {"task": "recommend", "encoder": "auto", "items": "both"}])  # fmt: skip
def test_everything_that_learns_has_its_own_rate(reach: Any, settings: dict[str, Any]):
    reached = reach(settings.get("task", "search"), **RATES | settings)
    model = reached.finetuned.model
    pretrained = {id(p): settings["encoder"] == "full" for p in model.backbone.encoder.parameters()}
    expected = {}
    for p in reached.finetuned.modules.parameters():
        if pretrained.get(id(p), True):
            expected[id(p)] = 4.0 if id(p) in pretrained else 2.0, 0.5 if p.ndim > 1 else 0.0
    told = [(id(p), group["lr"], group["weight_decay"]) for group in reached.stage.parameters for p in group["params"]]
    assert len({of for of, *_ in told}) == len(told), "none twice"
    assert {of: (lr, decay) for of, lr, decay in told} == expected


def test_in_the_warm_up_the_encoder_stays(reach: Any):
    reached = reach("document -> ID", **RATES)
    model = reached.finetuned.model
    encoder = {id(p) for p in model.backbone.encoder.parameters()}
    learns = {id(p) for group in reached.stage.parameters for p in group["params"]}
    assert learns == {id(p) for p in model.parameters()} - encoder
    rows = np.arange(0, 80, 3)
    loss = losses_of(reached.trainer, reached.stage, rows)["loss"]
    with torch.no_grad():
        model.eval()
        memory, codes = reached.finetuned.documents().memory(rows), reached.codes[rows]
        nats = torch.zeros(len(rows))
        for t, codebook in enumerate(model.codebooks):
            scores = model(memory, codes[:, :t])[:, -1] @ codebook.weight.T / model.backbone.dim**0.5 + codebook.prior
            nats -= scores.log_softmax(1).gather(1, codes[:, t : t + 1])[:, 0]
    assert loss.item() == pytest.approx(nats.mean().item(), rel=1e-2), "cached states are in half precision"


def test_foreign_codebooks_start_as_the_mean_of_their_documents_and_learned_ones_as_they_are(reach: Any, run: Path):
    reached = reach("document -> ID")
    model, codes = reached.finetuned.model.eval(), reached.codes
    if run.name == "lmindexer":
        learned = begin_model(Run.open(run), reached.finetuned.config).model
        assert torch.equal(model.centre, learned.centre)
        assert all(torch.equal(a.weight, b.weight) for a, b in zip(model.codebooks, learned.codebooks, strict=True))
        return
    memory = reached.finetuned.documents().memory(np.arange(len(codes)))
    for t, codebook in enumerate(model.codebooks):
        with torch.no_grad():
            raw = unit_rms(model.backbone.decode(memory, model.inputs(codes[:, :t]))[:, t])
        torch.testing.assert_close(model.centre[t], raw.mean(0), rtol=1e-2, atol=1e-2)
        hidden = unit_rms(raw - raw.mean(0))
        for code in codes[:, t].unique().tolist():
            mean = unit_rms(hidden[codes[:, t] == code].mean(0))
            assert torch.cosine_similarity(codebook.weight[code], mean, dim=0) > 0.98


def test_agreement_is_of_whole_ids(reach: Any):
    reached = reach("search")
    given = reached.finetuned.model.eval().generate(reached.finetuned.documents().memory(np.arange(80)))
    same = given == reached.codes
    assert same.any(1).float().mean() > same.all(1).float().mean(), "some have a code in common"
    assert float(filled(reached.trainer.state.agreement)) == pytest.approx(same.all(1).float().mean().item(), abs=0.02)
