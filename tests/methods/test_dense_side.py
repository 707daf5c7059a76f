"""Vectors taught beside the IDs, and queries with several answers: by hand, and that both are learned."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.methods.generative import teachable
from lmindexer.methods.generative.dense_side import DenseSide
from lmindexer.methods.generative.soft_targets import SoftTargets, likelihood
from lmindexer.methods.generative.teachable import TeachableGenerator
from lmindexer.questions.queries import Queries
from lmindexer.questions.search_task import SearchTask
from lmindexer.runs import Run
from lmindexer.settings import check_counting, parse
from small_tasks import QUIET, learn

VECTORS = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])  # of four documents


class Plane:
    """A backbone whose texts are points: what is read is a document's row, or a query's vector."""

    def documents(self) -> Any:
        return SimpleNamespace(memory=lambda rows: SimpleNamespace(states=VECTORS[rows], mask=None))

    def pooled(self, states: torch.Tensor, mask: None) -> torch.Tensor:
        return 3 * states  # of any length

    @property
    def model(self) -> Any:
        return SimpleNamespace(backbone=self)


def loss_of(relevant: list[set[int]], negatives: list[list[int]], source: list[int], target: list[int]) -> float:
    plane: Any = Plane()
    side = DenseSide(plane, relevant, np.array(negatives, np.int64).reshape(len(relevant), -1), 0.5)
    queries: Any = SimpleNamespace(states=torch.tensor([[1.0, 0.0], [0.0, 1.0]])[source], mask=None)
    return side.loss(queries, np.array(source), np.array(target)).item()


def nats(cosines: list[float], right: float) -> float:
    return math.log(sum(math.exp(2 * x) for x in cosines)) - 2 * right


def test_a_query_is_told_from_the_documents_of_its_batch_by_hand():
    assert loss_of([{0}, {2}], [[], []], [0, 1], [0, 2]) == pytest.approx(nats([1.0, 0.0], 1.0))


def test_its_negatives_and_those_of_others_count_too():
    first, second = nats([1.0, 0.6, 0.0, 0.8], 1.0), nats([0.0, 0.8, 1.0, 0.6], 1.0)
    assert loss_of([{0}, {2}], [[1], [3]], [0, 1], [0, 2]) == pytest.approx((first + second) / 2)


def test_another_answer_of_a_query_is_no_negative():
    first, second = nats([1.0, 0.0, 0.8], 1.0), nats([0.0, 0.8, 1.0, 0.6], 1.0)
    assert loss_of([{0, 1}, {2}], [[3], [1]], [0, 1], [0, 2]) == pytest.approx((first + second) / 2)
    assert loss_of([{0, 1}, {2}], [[], []], [0, 0], [0, 1]) == pytest.approx((0 + 0) / 2), "two answers of one query"


# Several answers


class Says:
    """Scores of three documents for two texts."""

    doc_ids = ("a", "b", "c")

    def __init__(self, *scores: list[float]) -> None:
        self._scores = dict(zip(("x", "y"), scores, strict=True))

    def scores(self, texts: list[str]) -> np.ndarray:
        return np.array([self._scores[text] for text in texts], dtype=np.float32)


def test_shares_are_those_by_which_the_pairs_are_likeliest():
    dense: Any = Says([0.1, 0.5, 0.5], [0.9, 0.9, 0.1])
    words: Any = Says([1.0, 9.0, 0.0], [2.0, 0.0, 0.0])
    found = SoftTargets.of(["x", "y"], np.array([0, 1]), np.array([1, 0]), dense, words, QUIET)
    assert found.share.sum(1) == pytest.approx(1)
    by_row = [dict(zip(rows, share, strict=True)) for rows, share in zip(found.rows, found.share, strict=True)]
    assert by_row[0][1] > by_row[0][2] > by_row[0][0], "both say so"
    assert by_row[1][0] / by_row[1][1] == pytest.approx(math.exp(1.6 * 2), rel=1e-4), (
        "words part them, as far as may be"
    )


def test_a_likelihood_by_hand():
    share, right = np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([[False, True], [False, False]])
    assert likelihood(share, right) == pytest.approx(math.log(0.8)), "an answer that is not among them says nothing"


# In a lesson


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn(
        corpus, tmp_path_factory.mktemp("dense") / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"])
    )


TRAIN = Queries(("a", "b"), ("old rose", "new pan"), ({"doc3": 1.0, "doc70": 1.0}, {"doc8": 1.0}))
DEV = Queries(("d",), ("rose and pan",), ({"doc1": 1.0},))


def lesson_of(run: Path, corpus: Corpus, folder: Path, later: list[int], **settings: Any) -> Any:
    plain = {"device": "cpu", "precision": "fp32", "dropout": 0.0, "warmup_epochs": 0}
    config = parse(FinetuneConfig, plain | settings)
    model = TeachableGenerator(Run.open(run), config)
    model._later = np.array(later, np.int64)
    task = SearchTask([TRAIN], {"dev": DEV}, corpus, config)
    return model, task, model.lesson(task, folder, QUIET)


def test_the_loss_is_the_sum_of_both_and_of_documents_that_of_their_ids(run: Path, corpus: Corpus, tmp_path: Path):
    plain = lesson_of(run, corpus, tmp_path, [])[2].losses(np.arange(5))["loss"].item()
    _, task, lesson = lesson_of(run, corpus, tmp_path, [], dense_loss=0.5)
    both = lesson.losses(np.arange(5))
    assert both["loss"].item() == pytest.approx(plain + 0.5 * both["dense"].item(), rel=1e-5)
    assert both["dense"].item() > 0
    documents = np.arange(len(task.target) - task.documents, len(task.target))[:3]
    assert set(lesson.losses(documents)) == {"loss"}


def test_the_encoder_learns_from_it(run: Path, corpus: Corpus, tmp_path: Path):
    model, _, lesson = lesson_of(run, corpus, tmp_path, [], dense_loss=1.0, document_share=0.0)
    lesson.losses(np.arange(3))["dense"].backward()
    weight = next(model.model.model.backbone.pretrained())
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_documents_kept_out_are_no_negatives_and_have_no_share(
    run: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept: dict[str, Any] = {}

    class Watched(DenseSide):
        def __init__(self, model: Any, relevant: Any, negatives: np.ndarray, temperature: float) -> None:
            kept["negatives"] = negatives
            super().__init__(model, relevant, negatives, temperature)

    monkeypatch.setattr(teachable, "DenseSide", Watched)
    lesson_of(run, corpus, tmp_path, [], dense_loss=1.0, hard_negatives=2)
    first = set(kept["negatives"].ravel().tolist())
    lesson_of(run, corpus, tmp_path, sorted(first), dense_loss=1.0, hard_negatives=2)
    assert first.isdisjoint(kept["negatives"].ravel().tolist())
    soft = SoftTargets(np.array([[4, 7]], np.int32), np.array([[0.25, 0.75]], np.float32)).without(np.array([7, 9]))
    assert soft.share.tolist() == [[0.25, 0.0]]


def test_answers_are_the_right_one_and_the_others_by_their_share(run: Path, corpus: Corpus, tmp_path: Path):
    model, task, _ = lesson_of(run, corpus, tmp_path, [], soft_targets=0.4)
    soft = SoftTargets(np.array([[4, 7], [5, 6]], np.int32), np.array([[0.25, 0.75], [1.0, 0.0]], np.float32))
    rows, share = model._answers(task, np.array([2, 3]), soft)  # the query "new pan", and the first document
    assert rows.tolist() == [[8, 5, 6], [0, 0, 0]]
    assert share == pytest.approx(np.array([[0.6, 0.4, 0.0], [1.0, 0.0, 0.0]]))


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="dense_loss teaches the encoder, which encoder frozen keeps as it is"):
        FinetuneConfig(dense_loss=1.0, encoder="frozen")
    with pytest.raises(InputError, match="soft_targets must be below 1"):
        FinetuneConfig(soft_targets=1.0)
    with pytest.raises(InputError, match="temperature is a setting of dual-encoder or --dense-loss, not of generative"):
        check_counting(FinetuneConfig(), ["temperature"], "the settings")
    check_counting(FinetuneConfig(dense_loss=1.0), ["temperature", "hard_negatives"], "the settings")
