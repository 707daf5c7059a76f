"""Algorithm 1 on a tiny corpus: positions are added and never changed, and no interruption is felt."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lmindexer import training
from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.ids.table import IdTable
from lmindexer.learn import algorithm, stages
from lmindexer.learn.algorithm import assign_position, learn_ids, start_codebook
from lmindexer.learn.kmeans import Clusters, kmeans
from lmindexer.learn.learner import Learner, LearningState, assign, final_codes, hidden_states
from lmindexer.learn.stages import train_position, warm_up_encoder, warm_up_reconstructor
from lmindexer.model.codebook import Codebook
from lmindexer.model.decoder import pool, unit_rms
from lmindexer.progress import Progress
from lmindexer.training import Trainer
from small_learner import new_learner, nothing_learned

CONFIG = LearnConfig(
    sizes=(8, 6), batch_size=16, reconstructor_epochs=1, warmup_epochs=1, epochs=2, first_epochs=0, settle_epochs=2,
    checkpoint_seconds=1e9, top_layers=1,
)  # fmt: skip
STEPS = 45  # 80 documents make 5 batches; 1 + 2 * (1 + 2) + 2 epochs
Make = Callable[..., Learner]


class StoppedError(Exception):
    """The power goes."""


class Clock(Progress):
    """Silent; a second passes at every step, and at step `stop` the power goes."""

    def __init__(self, stop: int | None = None) -> None:
        super().__init__(None)
        self.now, self.stop = 0, stop

    def at(self, stage: str, epoch: int, epochs: int, share: float) -> None:
        if self.now == self.stop:
            raise StoppedError
        self.now += 1


@pytest.fixture
def make(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A learner on the small corpus; it goes on where an earlier one of the same folder stopped."""

    def make(
        name: str = "run",
        backbone: str = "bert",
        encoder: str = "frozen",
        stop: int | None = None,
        **changes: object,
    ) -> Learner:
        config = CONFIG.replace(**changes)
        clock = Clock(stop)
        monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: clock.now))
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)

        def trainer(modules: nn.Module) -> Trainer[LearningState]:
            seconds, state = config.checkpoint_seconds, nothing_learned(len(corpus))
            return Trainer(modules, folder, config.seed, config.clip, False, seconds, clock, state)

        return new_learner(corpus, checkpoints[backbone], encoder, config, trainer)

    return make


def everything(learner: Learner) -> Tensor:
    return nn.utils.parameters_to_vector(learner.trainer.modules.parameters()).detach()


def is_sound(ids: IdTable, corpus: Corpus, sizes: tuple[int, ...]) -> bool:
    paths = {ids[doc_id] for doc_id in corpus.doc_ids}
    return len(paths) == len(corpus) and all(0 <= c < K for path in paths for c, K in zip(path, sizes, strict=False))


@pytest.mark.parametrize(
    ("backbone", "encoder"),
    [("bert", "frozen"), ("bert", "top"), ("bert", "full"), ("t5", "full"), ("pair", "frozen")],
)
def test_every_document_gets_its_own_id(make: Make, corpus: Corpus, backbone: str, encoder: str):
    learner = make(backbone=backbone, encoder=encoder, reconstructor_epochs=0, epochs=1, settle_epochs=1)
    ids = learn_ids(learner, corpus.doc_ids)
    assert is_sound(ids, corpus, CONFIG.sizes)
    assert ids.codes.tolist() == learner.codes(2).tolist()
    assert everything(learner).isfinite().all()


@pytest.mark.parametrize("sizes", [(8,), (4, 3, 5), (100, 100)])
def test_any_number_of_positions_and_codes(make: Make, corpus: Corpus, sizes: tuple[int, ...]):
    assert is_sound(learn_ids(make(sizes=sizes, epochs=1), corpus.doc_ids), corpus, sizes)


def test_the_same_seed_gives_the_same_ids(make: Make, corpus: Corpus):
    first, again, other = (make(str(i), seed=seed) for i, seed in enumerate((3, 3, 4)))
    codes = [learn_ids(learner, corpus.doc_ids).codes for learner in (first, again, other)]
    assert np.array_equal(codes[0], codes[1])
    assert torch.equal(everything(first), everything(again))
    assert not np.array_equal(codes[0], codes[2])


def test_a_later_position_leaves_the_earlier_ones_as_they_are(make: Make):
    learner = make()
    warm_up_reconstructor(learner)
    for t in range(2):
        warm_up_encoder(learner, t)
        start_codebook(learner, t)
        train_position(learner, t)
        assign_position(learner, t)
        if t == 0:
            codes, book = learner.codes(1).clone(), learner.indexer.codebooks[0].weight.detach().clone()
    assert torch.equal(learner.codes(1), codes)
    assert torch.equal(learner.indexer.codebooks[0].weight, book)
    assert learner.state.codes.shape == (len(codes), 2)


def test_the_final_model_gives_the_codes_of_the_table(make: Make, corpus: Corpus):
    learner = make(settle_epochs=15)
    table = learn_ids(learner, corpus.doc_ids).codes
    assert (final_codes(learner) == table).all(1).mean() > 0.9


@pytest.mark.parametrize(("backbone", "encoder"), [("bert", "frozen"), ("bert", "full")])
def test_a_document_is_aligned_with_its_vector_less_the_mean_of_the_corpus_whatever_its_company(
    make: Make, monkeypatch: pytest.MonkeyPatch, backbone: str, encoder: str
):
    learner, trained = make(backbone=backbone, encoder=encoder), []
    monkeypatch.setattr(learner.trainer, "run", trained.append)
    warm_up_encoder(learner, 0)
    learner.indexer.eval()
    learner.reconstructor.eval()
    rows = np.arange(len(learner.memories))
    memory = learner.memories.memory(rows)
    vectors = pool(memory.states, memory.weight)
    hidden = learner.indexer(memory, torch.empty(len(rows), 0, dtype=torch.long))[:, 0]
    rebuilt = learner.reconstructor.document_vector([hidden])
    wanted = 1 - torch.cosine_similarity(rebuilt, vectors - vectors.mean(0))
    for some in ([3], [3, 7], list(range(16))):
        loss = trained[0].losses(np.array(some))["alignment"]
        torch.testing.assert_close(loss, wanted[some].mean(), rtol=1e-4, atol=1e-4)
        assert loss.grad_fn is not None


@pytest.mark.parametrize("part", ["reconstruction", "contrastive", "commitment", "alignment"])
def test_every_loss_can_be_switched_off_and_is_then_not_logged(make: Make, corpus: Corpus, part: str):
    learner = make(epochs=1, settle_epochs=0, **{part: 0.0})
    learn_ids(learner, corpus.doc_ids)
    assert f'"{part}"' not in (learner.trainer.folder / "log.jsonl").read_text()


@pytest.mark.parametrize(
    ("part", "weight"), [("reconstruction", 2.0), ("contrastive", 2.0), ("commitment", 2.0), ("alignment", (2.0,))]
)
def test_a_single_loss_is_enough(make: Make, corpus: Corpus, part: str, weight: object):
    """Each learns by itself; at the first position there is nothing to be committed to, and nothing learns."""
    off = {"reconstruction": 0.0, "contrastive": 0.0, "commitment": 0.0, "alignment": (0.0,), "spread": 0.0}
    learner = make(epochs=4, settle_epochs=0, dropout=0.0, **off | {part: weight})
    before = everything(learner)
    assert is_sound(learn_ids(learner, corpus.doc_ids), corpus, CONFIG.sizes)
    log = [json.loads(line) for line in (learner.trainer.folder / "log.jsonl").read_text().splitlines()]
    for position in (1, 2):
        told = [record for record in log if record["stage"] == f"c{position}: training"]
        if part == "commitment" and position == 1:
            assert [record["loss"] for record in told] == [0.0] * 4
            continue
        assert all(record["loss"] == pytest.approx(2 * record[part]) for record in told)
        assert told[-1]["loss"] < told[0]["loss"]
    assert not torch.equal(everything(learner), before)


def test_with_the_papers_objective_nothing_of_ours_is_learned(make: Make, corpus: Corpus):
    learner = make(objective="paper")
    learn_ids(learner, corpus.doc_ids)
    records = [json.loads(line) for line in (learner.trainer.folder / "log.jsonl").read_text().splitlines()]
    terms = set().union(*records) - {"stage", "epoch", "seconds", "loss", "macro_f1"}
    assert terms <= {"reconstruction", "contrastive", "commitment", "perplexity", "used", "sharing", "difference_ratio"}
    assert {"reconstruction", "contrastive", "commitment"} <= terms
    assert "settling" not in {record["stage"] for record in records}
    assert all((codebook.prior == 0).all() for codebook in learner.indexer.codebooks)


@pytest.mark.parametrize("center", [False, True])
def test_the_codes_right_after_k_means_are_its_own_clusters(
    make: Make, corpus: Corpus, monkeypatch: pytest.MonkeyPatch, center: bool
):
    learner, clusters, looked_up = make(center=center, crowding=0.7), [], list[Tensor]()

    def watched(hidden: Tensor, *arguments: Any, **more: Any) -> Clusters:
        found = kmeans(hidden, *arguments, **more)
        clusters.append((hidden @ found.centres.T * hidden.shape[1] ** -0.5 + found.prior).argmax(1))
        return found

    def look_up_first(learner: Learner, t: int) -> None:
        looked_up.append(torch.from_numpy(assign(learner, t)))
        train_position(learner, t)

    monkeypatch.setattr(algorithm, "kmeans", watched)
    monkeypatch.setattr(algorithm, "train_position", look_up_first)
    learn_ids(learner, corpus.doc_ids)
    assert len(looked_up) == 2
    assert all(torch.equal(own, codes) for own, codes in zip(clusters, looked_up, strict=True))


def test_centred_h_is_seen_from_the_mean_of_its_first_code(make: Make):
    plain, centred = make("plain"), make("centred", center=True)
    codes = torch.arange(80)[:, None] % 4  # 20 documents each, but one code of a single document
    codes[79] = 7
    hidden = []
    for learner in (plain, centred):
        learner.state.codes = codes
        learner.config = learner.config.replace(warmup_epochs=0)
        warm_up_encoder(learner, 1)
        assert learner.indexer.centre[1].any()
        hidden.append(hidden_states(learner, 1))
    plain.indexer.centre[1] = 0
    raw = hidden_states(plain, 1)
    origin = torch.stack([raw[codes[:, 0] == code].mean(0) for code in codes[:, 0]])
    origin[79] = raw.mean(0)
    torch.testing.assert_close(hidden[1], unit_rms(raw - origin), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(hidden[0], unit_rms(raw - raw.mean(0)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_code_is_rebuilt_from_at_the_temperature_that_is_set(
    make: Make, monkeypatch: pytest.MonkeyPatch, temperature: float
):
    learner, used = make(gradient_temperature=temperature), []
    real = Codebook.quantize
    monkeypatch.setattr(Codebook, "quantize", lambda self, hidden, at: used.append(at) or real(self, hidden, at))
    warm_up_encoder(learner, 0)
    assert not used, "Eq. 13 has no code"
    start_codebook(learner, 0)
    train_position(learner, 0)
    assert set(used) == {temperature}


@pytest.mark.parametrize("restart", [False, True])
def test_stopped_anywhere_the_run_ends_the_same(make: Make, corpus: Corpus, restart: bool):
    changes = {"sizes": (20, 12), "restart_dead_codes": restart}
    whole = make("whole", **changes)
    wanted = learn_ids(whole, corpus.doc_ids).codes
    for stop in (7, 12, 28, STEPS - 2):
        with pytest.raises(StoppedError):
            learn_ids(make(f"{stop}", stop=stop, checkpoint_seconds=0, **changes), corpus.doc_ids)
        resumed = make(f"{stop}", **changes)
        assert np.array_equal(learn_ids(resumed, corpus.doc_ids).codes, wanted), f"stopped at step {stop}"
        assert torch.equal(everything(resumed), everything(whole))


def test_stopped_between_the_last_step_of_an_epoch_and_its_end_the_run_goes_on(
    make: Make, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
):
    def stop(*arguments: object, **more: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr(stages, "watch_codes", stop)
        with pytest.raises(StoppedError):
            learn_ids(make(checkpoint_seconds=0), corpus.doc_ids)
    assert is_sound(learn_ids(make(), corpus.doc_ids), corpus, CONFIG.sizes)
