"""What each stage of Algorithm 1 minimises, by hand: its terms and weights, what learns of each, and at which rate."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.learn.learner import Learner, LearningState, hidden_states
from lmindexer.learn.rebuild import rebuilding_quality
from lmindexer.model.backbone import EncoderBackbone
from lmindexer.model.decoder import pool, unit_rms
from lmindexer.progress import Progress
from lmindexer.training import filled
from small_learner import Recorder, losses_of, new_learner, nothing_learned, stage_of

CONFIG = LearnConfig(
    sizes=(6, 5), batch_size=16, dropout=0.0, epochs=2, first_epochs=0, rebuilt_tokens=0, weigh_tokens=False,
    top_layers=1,
)  # fmt: skip
OFF = {"reconstruction": 0.0, "contrastive": 0.0, "commitment": 0.0, "alignment": (0.0,), "spread": 0.0}
ROWS = np.arange(40)
Make = Callable[..., Learner]


@pytest.fixture
def make(corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path) -> Make:
    """A learner that has learned nothing: no dropout, every token as important as any other."""

    def make(backbone: str = "bert", encoder: str = "frozen", **changes: object) -> Learner:
        config = CONFIG.replace(**changes)

        def trainer(modules: nn.Module) -> Recorder[LearningState]:
            return Recorder(
                modules, tmp_path, config.seed, config.clip, False, 1e9, Progress(None), nothing_learned(len(corpus))
            )

        learner = new_learner(corpus, checkpoints[backbone], encoder, config, trainer)
        if isinstance(learner.indexer.backbone, EncoderBackbone):
            with torch.no_grad():  # a small decoder begins with zeros, behind which nothing has a gradient
                for p in learner.indexer.backbone.small_decoder.parameters():
                    p.add_(torch.randn_like(p) * 0.05)
        return learner

    return make


def terms_of(learner: Learner, name: str, rows: np.ndarray = ROWS) -> dict[str, Tensor]:
    """The losses of a stage for some rows, in training mode."""
    stage = stage_of(learner, name)
    torch.manual_seed(7)
    return losses_of(learner.trainer, stage, rows)


def learns(parameters: nn.Module | Tensor) -> bool:
    """Whether every one of these has a gradient somewhere."""
    each = list(parameters.parameters()) if isinstance(parameters, nn.Module) else [parameters]
    return all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in each)


def is_still(parameters: nn.Module | Tensor) -> bool:
    """Whether none of these has a gradient."""
    each = list(parameters.parameters()) if isinstance(parameters, nn.Module) else [parameters]
    return all(p.grad is None or not p.grad.any() for p in each)


def decoder_of(learner: Learner) -> nn.Module:
    backbone = learner.indexer.backbone
    assert isinstance(backbone, EncoderBackbone)
    return backbone.small_decoder.layers[0].narrow  # type: ignore[union-attr]


# The total


WEIGHTS = {"reconstruction": 2.0, "contrastive": 3.0, "commitment": 5.0}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reconstructor warm-up", {"reconstruction": 2.0}),
        ("c1: warm-up", {"reconstruction": 2.0, "contrastive": 3.0, "alignment": 7.0}),
        ("c1: training", {"reconstruction": 2.0, "contrastive": 3.0, "alignment": 7.0}),
        ("c2: warm-up", {"reconstruction": 2.0, "contrastive": 3.0, "commitment": 5.0, "alignment": 11.0}),
        ("c2: training", {"reconstruction": 2.0, "contrastive": 3.0, "commitment": 5.0, "alignment": 11.0,
                          "spread": 1.0}),
        ("c3: training", {"reconstruction": 2.0, "contrastive": 3.0, "commitment": 5.0, "alignment": 11.0,
                          "spread": 1.0}),
    ],
)  # fmt: skip
def test_the_total_is_the_weighted_sum_of_its_terms(make: Make, name: str, expected: dict[str, float]):
    terms = terms_of(make(sizes=(6, 5, 4), alignment=(7.0, 11.0), **WEIGHTS), name)
    assert terms.keys() - {"loss", "macro_f1"} == expected.keys()
    assert all(terms[part].item() > 0 for part in expected), "each is there, and costs something"
    total = sum(weight * terms[part].item() for part, weight in expected.items())
    assert terms["loss"].item() == pytest.approx(total, rel=1e-5)


# Eq. 8: rebuilding


def asked_of(learner: Learner, name: str) -> tuple[list[Tensor], Tensor, Tensor]:
    """Code vectors, tokens and hints which the reconstructor is given in a stage."""
    given = []
    hook = learner.reconstructor.register_forward_pre_hook(lambda module, arguments: given.append(arguments))
    terms_of(learner, name, np.arange(len(learner.memories)))
    hook.remove()
    (vectors, tokens, hints, _) = given[-1]
    return vectors, tokens, hints


@pytest.mark.parametrize("t", [0, 1])
def test_in_training_the_code_stands_for_h_and_its_codebook_learns_from_rebuilding(make: Make, t: int):
    learner = make(**OFF | {"reconstruction": 1.0})
    terms_of(learner, f"c{t + 1}: training")["loss"].backward()
    gradient = learner.indexer.codebooks[t].weight.grad
    assert gradient is not None
    assert (gradient.abs().sum(1) > 0).all(), "Eq. 6: every row of E^t"
    assert learns(decoder_of(learner)), "and through it h^t"
    assert learns(learner.reconstructor.layers[0].key_value)
    assert is_still(learner.indexer.codebooks[1 - t]), "no other codebook"
    vectors, _, _ = asked_of(learner, f"c{t + 1}: training")
    codes = learner.indexer.codebooks[t].assign(hidden_states(learner, t))
    torch.testing.assert_close(vectors[-1], learner.indexer.codebooks[t].weight[codes])
    assert len(vectors) == t + 1


@pytest.mark.parametrize("t", [0, 1])
def test_in_the_warm_up_h_itself_stands_for_the_code(make: Make, t: int):
    learner = make(**OFF | {"reconstruction": 1.0})
    terms_of(learner, f"c{t + 1}: warm-up")["loss"].backward()
    assert is_still(learner.indexer.codebooks[0])
    assert is_still(learner.indexer.codebooks[1])
    assert learns(decoder_of(learner))
    vectors, _, _ = asked_of(learner, f"c{t + 1}: warm-up")
    torch.testing.assert_close(vectors[-1], hidden_states(learner, t))
    assert len(vectors) == t + 1
    if t:
        torch.testing.assert_close(vectors[0], learner.indexer.codebooks[0].weight[learner.codes(1)[:, 0]])


def test_the_reconstructor_warms_up_alone_without_any_code(make: Make):
    learner = make()
    terms_of(learner, "reconstructor warm-up")["loss"].backward()
    assert learns(learner.reconstructor.layers[0].key_value)
    assert all(p.grad is None for p in learner.indexer.parameters())
    assert asked_of(learner, "reconstructor warm-up")[0] == []


@pytest.mark.parametrize(
    ("name", "ratio"),
    [("reconstructor warm-up", 0.8), ("c1: warm-up", 0.8), ("c1: training", 0.8), ("c2: warm-up", 0.2),
     ("c2: training", 0.2), ("c3: training", 0.2)],
)  # fmt: skip
def test_each_position_is_given_its_own_share_of_hints(make: Make, name: str, ratio: float):
    learner = make(sizes=(4, 4, 4), hints=(0.8, 0.2))
    _, tokens, hints = asked_of(learner, name)
    there = ~learner.indexer.backbone.special[tokens]
    assert hints.sum().item() / there.sum().item() == pytest.approx(ratio, abs=0.05)


@pytest.mark.parametrize("softmax", ["batch", "full"])
@pytest.mark.parametrize("name", ["reconstructor warm-up", "c1: training"])
def test_special_tokens_are_no_hints_and_never_rebuilt(make: Make, softmax: str, name: str):
    learner = make(**OFF | {"reconstruction": 1.0, "softmax": softmax, "hints": (0.5,)})
    special = learner.indexer.backbone.special
    _, tokens, hints = asked_of(learner, name)
    assert special[tokens].any(1).all(), "every document holds one"
    assert not (hints & special[tokens]).any()
    terms_of(learner, name)["loss"].backward()
    pull = learner.reconstructor.bias.grad  # towards a token that is a target, it is below zero
    assert (pull < 0).any()
    assert (pull[special] >= 0).all()
    if softmax == "batch":
        assert not pull[special].any(), "nor among what is chosen from"


# Eq. 9: contrast


def contrast_by_hand(learner: Learner, h: Tensor) -> float:
    """In-batch contrast of h with itself: cosines over the temperature, the diagonal is right."""
    unit = (h / h.norm(dim=1, keepdim=True)).numpy()
    scores = unit @ unit.T / learner.config.temperature
    return float(np.mean(np.log(np.exp(scores).sum(1)) - scores.diagonal()))


@pytest.mark.parametrize("name", ["c1: warm-up", "c1: training"])
def test_contrast_is_of_cosines(make: Make, name: str):
    learner = make(**OFF | {"contrastive": 1.0, "temperature": 0.3})
    terms = terms_of(learner, name)
    hidden = hidden_states(learner, 0)[ROWS]
    assert terms["loss"].item() == pytest.approx(contrast_by_hand(learner, hidden), rel=1e-4)
    terms["loss"].backward()
    assert learns(decoder_of(learner))
    assert is_still(learner.indexer.codebooks[0])
    assert is_still(learner.reconstructor)


@pytest.mark.parametrize("name", ["c2: warm-up", "c2: training"])
def test_negatives_are_those_of_the_same_prefix(make: Make, name: str):
    learner = make(**OFF | {"contrastive": 1.0})
    stage_of(learner, name)
    codes = learner.codes(1)[:, 0]
    count = codes.bincount()
    first, second = count.argsort(descending=True)[:2].tolist()
    groups = [(codes == code).nonzero()[:, 0].numpy()[:6] for code in (first, second)]
    hidden = hidden_states(learner, 1)
    apart = [contrast_by_hand(learner, hidden[rows]) for rows in groups]
    together = terms_of(learner, name, np.concatenate(groups))["contrastive"].item()
    shares = [len(rows) / sum(map(len, groups)) for rows in groups]
    assert min(map(len, groups)) > 1
    assert together == pytest.approx(float(np.dot(shares, apart)), rel=1e-4)

    alone = np.array([(codes == code).nonzero()[0, 0].item() for code in codes.unique().tolist()])
    assert len(alone) > 2
    assert terms_of(learner, name, alone)["contrastive"].item() == pytest.approx(0, abs=1e-6)


def test_the_two_views_are_under_different_dropout(make: Make):
    learner = make(**OFF | {"contrastive": 1.0, "dropout": 0.3})
    term = terms_of(learner, "c1: warm-up")["contrastive"].item()
    of_equal_views = contrast_by_hand(learner, hidden_states(learner, 0)[ROWS])
    assert term > of_equal_views + 1, "what is right is no longer at a cosine of 1"


# Eq. 10: commitment


def nats_by_hand(learner: Learner, t: int, rows: np.ndarray) -> Tensor:
    """-log P_s of the codes of positions before t, summed over them: (n,)."""
    codes, nats = learner.codes(t)[rows], torch.zeros(len(rows))
    for j in range(t):
        codebook = learner.indexer.codebooks[j]
        scores = hidden_states(learner, j, rows) @ codebook.weight.detach().T / 32**0.5 + codebook.prior
        nats += -scores.log_softmax(1).gather(1, codes[:, j : j + 1])[:, 0]
    return nats


@pytest.mark.parametrize("name", ["c2: warm-up", "c2: training", "c3: training"])
def test_the_commitment_is_to_all_earlier_codes(make: Make, name: str):
    learner = make(**OFF | {"commitment": 1.0, "sizes": (6, 5, 4)})
    terms = terms_of(learner, name)
    t = int(name[1]) - 1
    assert terms["loss"].item() == pytest.approx(nats_by_hand(learner, t, ROWS).mean().item(), rel=1e-4)
    terms["loss"].backward()
    assert learns(decoder_of(learner))
    assert all(is_still(codebook) for codebook in learner.indexer.codebooks), "earlier codebooks stay as they are"


def test_settling_is_the_commitment_to_every_code_and_to_nothing_else(make: Make):
    learner = make()
    terms = terms_of(learner, "settling")
    assert terms.keys() == {"loss"}
    assert terms["loss"].item() == pytest.approx(nats_by_hand(learner, 2, ROWS).mean().item(), rel=1e-4)
    terms["loss"].backward()
    assert learns(decoder_of(learner))
    assert is_still(learner.indexer.codebooks[0])
    assert is_still(learner.indexer.codebooks[1])
    assert is_still(learner.reconstructor)


# Ours: alignment and spread


@pytest.mark.parametrize("name", ["c1: warm-up", "c1: training", "c2: training"])
def test_alignment_pulls_h_and_not_the_codebook(make: Make, name: str):
    learner = make(encoder="full", **OFF | {"alignment": (1.0,)})
    terms_of(learner, name)["loss"].backward()
    assert learns(decoder_of(learner))
    assert learns(learner.reconstructor.document[0])
    assert all(is_still(codebook) for codebook in learner.indexer.codebooks)


def test_spread_is_the_cross_entropy_of_the_codes_aimed_at(make: Make):
    learner = make(**OFF | {"spread": 0.5})
    terms = terms_of(learner, "c2: training")
    codebook, targets = learner.indexer.codebooks[1], filled(learner.state.targets)
    scores = hidden_states(learner, 1) @ codebook.weight.detach().T / 32**0.5 + codebook.prior
    expected = F.cross_entropy(scores[ROWS], targets[ROWS])
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-4)
    terms["loss"].backward()
    assert learns(codebook)
    assert learns(decoder_of(learner))
    assert is_still(learner.reconstructor)


def test_of_one_prefix_documents_aim_at_different_codes_unless_they_are_alike(make: Make):
    learner = make(**OFF | {"spread": 0.9, "sizes": (4, 60)})
    stage_of(learner, "c2: training")
    targets, prefix = filled(learner.state.targets), learner.codes(1)[:, 0]
    memories = [learner.memories.memory(np.array([row])) for row in range(len(prefix))]
    vectors = torch.cat([pool(memory.states, memory.weight) for memory in memories])
    vectors = F.normalize(vectors - vectors.mean(0), dim=1)
    scores = learner.indexer.codebooks[1].logits(hidden_states(learner, 1))
    together = 0
    for row in range(len(prefix)):
        mates = ((prefix == prefix[row]) & (targets == targets[row])).nonzero()[:, 0]
        preferred = mates[scores[mates, targets[row]].argmax()]
        assert row == preferred or vectors[row] @ vectors[preferred] >= 0.9 - 1e-4
        together += row != preferred
    assert together < (scores.argmax(1)[:, None] == scores.argmax(1)[None]).sum() / 2


# What learns, and how fast


RATES = {"learning_rate": 1.0, "indexer_learning_rate": (2.0, 3.0), "encoder_learning_rate": 4.0, "weight_decay": 0.5}


@pytest.mark.parametrize(
    ("backbone", "encoder"), [("bert", "frozen"), ("bert", "top"), ("bert", "full"), ("t5", "full"), ("pair", "frozen")]
)
@pytest.mark.parametrize(
    ("name", "rate"), [("reconstructor warm-up", None), ("c1: warm-up", 2.0), ("c1: training", 2.0),
                       ("c2: training", 3.0), ("c3: training", 3.0), ("settling", 3.0)]
)  # fmt: skip
def test_everything_that_learns_has_its_own_rate(
    make: Make, backbone: str, encoder: str, name: str, rate: float | None
):
    learner = make(backbone, encoder, sizes=(4, 4, 4), **RATES)
    stage = stage_of(learner, name)
    told = [(id(p), group["lr"], group["weight_decay"]) for group in stage.parameters for p in group["params"]]
    expected = {}
    if rate is not None:
        pretrained = {id(p) for p in learner.indexer.backbone.model.parameters()}
        for p in learner.indexer.parameters():
            expected[id(p)] = 4.0 if id(p) in pretrained else rate, 0.5 if p.ndim > 1 else 0.0
        for p in learner.indexer.backbone.encoder.parameters():
            if not p.requires_grad:
                expected.pop(id(p), None)
        t = int(name[1]) - 1 if name.endswith("training") else None
        for position, codebook in enumerate(learner.indexer.codebooks):
            if position != t:
                expected.pop(id(codebook.weight))
    if name != "settling":
        for p in learner.reconstructor.parameters():
            expected[id(p)] = 1.0, 0.5 if p.ndim > 1 else 0.0
    assert len({of for of, *_ in told}) == len(told), "none twice"
    assert {of: (lr, decay) for of, lr, decay in told} == expected
    if encoder == "full" and rate is not None:
        assert 4.0 in {lr for _, lr, _ in told}, "the pretrained layers"


# The origin


@pytest.mark.parametrize("t", [0, 1])
def test_h_is_told_from_the_mean_of_all_documents(make: Make, t: int):
    learner = make()
    stage_of(learner, f"c{t + 1}: warm-up")
    learner.indexer.eval()
    rows = np.arange(len(learner.memories))
    inputs = learner.indexer.inputs(learner.codes(t))
    with torch.no_grad():
        raw = unit_rms(learner.indexer.backbone.decode(learner.memories.memory(rows), inputs))[:, t]
    torch.testing.assert_close(learner.indexer.centre[t], raw.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(hidden_states(learner, t), unit_rms(raw - raw.mean(0)), rtol=1e-3, atol=1e-3)


def test_with_center_it_is_told_from_the_mean_of_those_with_its_first_code(make: Make):
    learner = make(center=True, sizes=(12, 5))
    stage_of(learner, "c2: warm-up")
    learner.indexer.eval()
    codes = learner.codes(1)
    memory = learner.memories.memory(np.arange(len(codes)))
    with torch.no_grad():
        raw = unit_rms(learner.indexer.backbone.decode(memory, learner.indexer.inputs(codes)))[:, 1]
    hidden = hidden_states(learner, 1)
    for code in codes.unique().tolist():
        mates = codes[:, 0] == code
        origin = (raw[mates] if mates.sum() > 1 else raw).mean(0)
        torch.testing.assert_close(hidden[mates], unit_rms(raw[mates] - origin), rtol=1e-3, atol=1e-3)


# Around the stages


@pytest.mark.parametrize(("first", "epochs", "expected"), [(2, 5, [2, 5]), (2, 1, [1, 1]), (0, 5, [5, 5])])
def test_the_first_position_learns_for_fewer_epochs(make: Make, first: int, epochs: int, expected: list[int]):
    learner = make(first_epochs=first, epochs=epochs)
    stage_of(learner, "c2: training")
    assert [learner.trainer.stages[f"c{n}: training"].epochs for n in (1, 2)] == expected


def test_only_the_first_codes_may_crowd(make: Make):
    learner = make(crowding=0.5)
    stage_of(learner, "c2: training")
    first, second = learner.indexer.codebooks
    assert first.prior.min() < 0
    assert not second.prior.any()


def test_rebuilding_is_judged_with_the_codes_of_others_and_the_hints_of_the_last_position(make: Make):
    learner = make(hints=(0.8, 0.3))
    stage_of(learner, "settling")
    given = []
    hook = learner.reconstructor.register_forward_pre_hook(lambda module, arguments: given.append(arguments))
    rebuilding_quality(learner)
    hook.remove()
    half = len(given) // 3  # calls for the documents' own codes, for those of others, for none
    own, others = (
        torch.cat([torch.stack(vectors, 1) for vectors, *_ in given[some]])
        for some in (slice(0, half), slice(half, 2 * half))
    )  # (N, T, D)
    expected = torch.stack(learner.indexer.code_vectors(learner.codes(2)), 1)
    assert own.shape == expected.shape
    torch.testing.assert_close(own.sum(0), expected.sum(0))
    assert torch.equal(others, own.roll(1, 0))
    assert not torch.equal(others, own)
    assert [vectors for vectors, *_ in given[2 * half :]] == [[]] * half
    there = sum((~learner.indexer.backbone.special[tokens]).sum().item() for _, tokens, *_ in given)
    assert sum(hints.sum().item() for *_, hints, _ in given) / there == pytest.approx(0.3, abs=0.05)
    for call in range(half):
        assert torch.equal(given[call][2], given[call + half][2]), "the same tokens are hidden each time"


def test_rebuilding_is_judged_on_a_few_tokens_of_a_document(make: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lmindexer.learn.rebuild.ASKED", 2)
    learner = make()
    stage_of(learner, "settling")
    slots = []
    hook = learner.reconstructor.register_forward_pre_hook(lambda module, arguments: slots.append(arguments[3]))
    rebuilding_quality(learner)
    hook.remove()
    assert {places.shape[1] for places in slots} == {2}
    half = len(slots) // 3
    assert all(torch.equal(a, b) for a, b in zip(slots[:half], slots[half : 2 * half], strict=True))


# Watching


def test_dead_codes_restart_at_documents_of_crowded_ones_with_the_length_of_the_others(make: Make):
    learner = make()
    stage = stage_of(learner, "c1: training")
    codebook, hidden = learner.indexer.codebooks[0], hidden_states(learner, 0)
    with torch.no_grad():
        codebook.weight.mul_(1.7)
    before = codebook.weight.detach().clone()
    learner.state.chosen = torch.arange(len(hidden)) % 2 * 3  # codes 0 and 3; 1, 2, 4 and 5 are dead
    told = stage.after_epoch(0)
    after = codebook.weight.detach()
    dead, alive = [1, 2, 4, 5], [0, 3]
    assert told["restarted"] == 4
    assert torch.equal(after[alive], before[alive])
    torch.testing.assert_close(after[dead].norm(dim=1), torch.full((4,), 1.7 * 32**0.5), rtol=1e-4, atol=1e-4)
    nearest = F.cosine_similarity(after[dead][:, None], hidden[None], dim=-1).max(1).values
    torch.testing.assert_close(nearest, torch.ones(4))
    assert not torch.isclose(before[dead], after[dead]).all(1).any()


def test_dead_codes_stay_where_they_are_after_the_last_epoch_and_where_that_is_wished(make: Make):
    for changes, epoch in (({}, 1), ({"restart_dead_codes": False}, 0)):
        learner = make(**changes)
        stage = stage_of(learner, "c1: training")
        before = learner.indexer.codebooks[0].weight.detach().clone()
        learner.state.chosen = torch.zeros(len(learner.memories), dtype=torch.long)
        assert "restarted" not in stage.after_epoch(epoch)
        assert torch.equal(learner.indexer.codebooks[0].weight, before)


@pytest.mark.parametrize("t", [0, 1])
def test_the_codes_that_are_watched_are_those_of_the_steps(make: Make, t: int):
    learner = make()
    stage = stage_of(learner, f"c{t + 1}: training")
    filled(learner.state.chosen).fill_(-1)
    losses_of(learner.trainer, stage, ROWS)
    codes = learner.indexer.codebooks[t].assign(hidden_states(learner, t))
    chosen = filled(learner.state.chosen)
    assert torch.equal(chosen[ROWS], codes[ROWS])
    assert (chosen[len(ROWS) :] == -1).all()
