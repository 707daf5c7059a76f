"""Parts of documents: what is cut out of which tokens, and what the losses of Algorithm 1 ask of a part."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmindexer.config import LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens, in_pieces
from lmindexer.errors import InputError
from lmindexer.learn.learner import Learner, LearningState
from lmindexer.learn.losses import contrastive_loss
from lmindexer.learn.parts import WINDOWS, drawn, windows
from lmindexer.progress import Progress
from small_learner import Recorder, losses_of, new_learner, nothing_learned, stage_of

FIRST, LAST = 101, 102  # around every text
SPECIAL = np.isin(np.arange(200), (FIRST, LAST))
ROWS = np.arange(40)
OFF = {"reconstruction": 0.0, "contrastive": 0.0, "commitment": 0.0, "alignment": (0.0,), "spread": 0.0}


def lists_of(tokens: Tokens) -> list[list[int]]:
    return [tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]


def around(*content: int) -> list[int]:
    return [FIRST, *content, LAST]


def test_the_parts_are_halves_from_the_first_to_the_last():
    parts = lists_of(windows(Tokens.of([around(*range(10)), around(1, 2, 3)]), SPECIAL, 64))
    assert parts[:WINDOWS] == [around(*range(at, at + 5)) for at in (0, 2, 3, 5)]
    assert parts[WINDOWS:] == [around(1, 2), around(1, 2), around(2, 3), around(2, 3)]


def test_a_part_is_no_longer_than_what_is_read():
    parts = lists_of(windows(Tokens.of([around(*range(20))]), SPECIAL, 6))
    assert parts[0] == around(0, 1, 2, 3)
    assert parts[-1] == around(16, 17, 18, 19)


def test_what_is_too_short_to_part_is_its_own_part():
    assert lists_of(windows(Tokens.of([around(7), around(), []]), SPECIAL, 64)) == [
        *[around(7)] * WINDOWS, *[around()] * WINDOWS, *[[]] * WINDOWS,
    ]  # fmt: skip


def test_parts_of_a_document_in_pieces_are_of_all_its_tokens():
    pieces = [around(*range(0, 10)), around(*range(10, 20)), around(20, 21)]
    whole = Tokens.of([[token for piece in pieces[:2] for token in piece], pieces[2]])
    tokens = in_pieces(whole, np.array([2, 1]), np.array([12, 12, 4]), 12)
    parts = lists_of(windows(tokens, SPECIAL, 64))
    assert parts[0] == around(*range(10))
    assert parts[WINDOWS - 1] == around(*range(10, 20))
    assert parts[WINDOWS] == around(20)


def test_any_part_of_a_row_may_be_drawn_and_none_of_another():
    torch.manual_seed(0)
    parts = np.stack([drawn(np.array([3, 0, 5])) for _ in range(200)])
    assert (parts // WINDOWS == [3, 0, 5]).all()
    assert {*(parts % WINDOWS).ravel()} == {*range(WINDOWS)}


# What the stages ask of them


@pytest.fixture
def make(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path):
    """A learner that has learned nothing, without dropout."""

    def make(encoder: str = "frozen", **changes: object) -> Learner:
        config = LearnConfig(
            sizes=(6, 5), batch_size=16, dropout=0.0, epochs=2, weigh_tokens=False, top_layers=1, encoder=encoder
        ).replace(**OFF | changes)

        def trainer(modules: nn.Module) -> Recorder[LearningState]:
            return Recorder(
                modules, tmp_path, config.seed, config.clip, False, 1e9, Progress(None), nothing_learned(len(corpus))
            )

        return new_learner(corpus, checkpoints["bert"], encoder, config, trainer)

    return make


def terms_of(learner: Learner, name: str) -> tuple[dict[str, Tensor], np.ndarray]:
    """The losses of a stage for ROWS, and which parts it drew."""
    stage = stage_of(learner, name)
    torch.manual_seed(7)
    parts = drawn(ROWS)
    torch.manual_seed(7)
    return losses_of(learner.trainer, stage, ROWS), parts


@torch.no_grad()
def states_of_parts(learner: Learner, parts: np.ndarray, t: int) -> Tensor:
    """h^0 ... h^t (B, t + 1, D) of parts given the codes of the whole documents."""
    assert learner.parts is not None
    learner.indexer.eval()
    return learner.indexer(learner.parts.memory(parts), learner.codes(t)[ROWS])


@pytest.mark.parametrize("encoder", ["frozen", "top", "full"])
@pytest.mark.parametrize("name", ["c1: warm-up", "c2: training"])
def test_a_part_is_the_second_view(make, encoder: str, name: str):
    learner, t = make(encoder, contrastive=1.0, view="crop"), int(name[1]) - 1
    terms, parts = terms_of(learner, name)
    learner.indexer.eval()
    with torch.no_grad():
        whole = learner.indexer(learner.memories.memory(ROWS), learner.codes(t)[ROWS])[:, t]
    of_part = states_of_parts(learner, parts, t)[:, t]
    assert (whole - of_part).abs().amax(-1).min() > 1e-3
    expected = contrastive_loss(whole, of_part, learner.codes(t)[ROWS], learner.contrast)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", ["c2: warm-up", "c2: training", "settling"])
def test_a_part_must_lead_to_the_codes_of_the_whole(make, name: str):
    learner = make(commit_crop=3.0, commitment=0.0)
    terms, parts = terms_of(learner, name)
    hidden = states_of_parts(learner, parts, 1)
    codes = [learner.codes(1)[ROWS, 0]]
    if name == "c2: training":  # also to the one that the whole has just chosen
        assert learner.trainer.state.chosen is not None
        codes.append(learner.trainer.state.chosen[ROWS])
    if name == "settling":
        codes.append(learner.codes(2)[ROWS, 1])
    expected = sum(
        F.cross_entropy(learner.indexer.codebooks[t].logits(hidden[:, t]), of_position).item()
        for t, of_position in enumerate(codes)
    )
    loss = terms["loss"].item()
    if name == "settling":  # which is the commitment of the whole, too
        whole = learner.indexer(learner.memories.memory(ROWS), learner.codes(1)[ROWS])
        loss -= sum(
            F.cross_entropy(learner.indexer.codebooks[t].logits(whole[:, t]), of_position).item()
            for t, of_position in enumerate(codes)
        )
    assert loss == pytest.approx(3.0 * expected, rel=1e-4)


def test_a_part_must_lead_to_the_code_that_spreading_aims_at(make):
    learner = make(commit_crop=1.0, spread=0.8)
    terms, parts = terms_of(learner, "c2: training")
    targets = learner.trainer.state.targets
    assert targets is not None
    hidden = states_of_parts(learner, parts, 1)
    codebooks, codes = learner.indexer.codebooks, (learner.codes(1)[ROWS, 0], targets[ROWS])
    expected = sum(F.cross_entropy(codebooks[t].logits(hidden[:, t]), codes[t]).item() for t in range(2))
    assert terms["part"].item() == pytest.approx(expected, rel=1e-4)


def test_the_codebook_learns_what_parts_can_lead_to(make):
    learner = make(commit_crop=1.0)
    terms_of(learner, "c1: training")[0]["loss"].backward()
    assert learner.indexer.codebooks[0].weight.grad.abs().sum() > 0


def test_nothing_is_read_of_parts_unless_a_loss_asks(make):
    assert make(contrastive=1.0).parts is None
    assert make(contrastive=0.0, view="crop").parts is None
    assert not LearnConfig(objective="paper").reads_parts


def test_vectors_have_no_parts():
    for setting in ({"view": "crop"}, {"commit_crop": 0.5}):
        with pytest.raises(InputError, match=r"read parts of texts, and with embeddings x\.npy the vectors are read"):
            from_mapping({"embeddings": "x.npy", **setting})
