"""The stages of Algorithm 1: reconstructor warm-up (Eq. 12), encoder warm-up (Eq. 13), full training (Eq. 11)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer import parallel
from lmindexer.config import LearnConfig
from lmindexer.learn.batches import prefix_batches
from lmindexer.learn.kmeans import group_means
from lmindexer.learn.learner import Learner, hidden_states, mean_document
from lmindexer.learn.losses import commitment_loss, contrastive_loss, document_loss
from lmindexer.learn.rebuild import rebuild, rebuilding_score
from lmindexer.learn.spread import spread_targets
from lmindexer.learn.watch import watch_codes
from lmindexer.model.backbone import Memory
from lmindexer.model.codebook import Codebook
from lmindexer.model.decoder import pool
from lmindexer.training import Stage, adamw_groups, filled


def warm_up_reconstructor(learner: Learner) -> None:
    """Eq. 12: the reconstructor alone, from hints alone; the encoder is not even asked."""
    config = learner.config

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        terms = {"reconstruction": rebuild(learner, rows, [], 0)}
        return {"loss": total(config, 0, terms), **terms}

    learner.trainer.run(
        Stage(
            name="reconstructor warm-up",
            epochs=config.reconstructor_epochs if config.reconstruction else 0,
            batches=_batches(learner, 0),
            losses=losses,
            parameters=_groups(learner, 0, [learner.reconstructor]),
            learning=[learner.reconstructor],
            after_epoch=lambda epoch: rebuilding_score(learner, lambda rows: [], 0),
        )
    )


def warm_up_encoder(learner: Learner, t: int) -> None:
    """Eq. 13: encoder and reconstructor, with the raw h^t in the place of the t-th code."""
    config = learner.config
    learner.trainer.once(f"c{t + 1}: centre", lambda: _centre(learner, t))
    if config.at("alignment", t):
        learner.trainer.once(f"c{t + 1}: mean", lambda: _take_mean(learner))

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        batch = read(learner, rows, t)
        terms = position_terms(learner, batch, batch.h)
        return {"loss": total(config, t, terms), **terms}

    learner.trainer.run(
        Stage(
            name=f"c{t + 1}: warm-up",
            epochs=config.warmup_epochs,
            batches=_batches(learner, t),
            losses=losses,
            parameters=_groups(learner, t, [learner.indexer, learner.reconstructor]),
            learning=[learner.indexer, learner.reconstructor],
            after_epoch=lambda epoch: _score(learner, t, lambda h: h),
        )
    )


def train_position(learner: Learner, t: int) -> None:
    """Eq. 11: encoder, reconstructor and codebook t together, with the code in place of h^t."""
    config, state, codebook = learner.config, learner.state, learner.indexer.codebooks[t]
    name, spreading = f"c{t + 1}: training", t > 0 and config.spread > 0

    def aim() -> None:
        state.targets = spread_targets(learner, t, config.spread).to(learner.memories.device)

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        batch = read(learner, rows, t)
        chosen = codebook.assign(batch.h.detach())
        filled(state.chosen)[learner.places(parallel.whole(rows))] = parallel.gathered(chosen)
        vector = codebook.quantize(batch.h, config.gradient_temperature)
        targets = filled(state.targets)[batch.places] if spreading else None
        terms = position_terms(learner, batch, vector, targets, chosen if targets is None else targets)
        return {"loss": total(config, t, terms), **terms}

    def after_epoch(epoch: int) -> dict[str, float]:
        last = epoch + 1 == config.epochs_at(t)
        numbers = watch_codes(learner, t, restart=config.restart_dead_codes and not last)
        if spreading and not last:
            aim()
        return numbers | _score(learner, t, lambda h: codebook.weight[codebook.assign(h)])

    if state.chosen is None:
        state.chosen = torch.zeros(len(learner.memories), dtype=torch.long, device=learner.memories.device)
    if spreading:
        learner.trainer.once(f"{name}, targets", aim)
    learner.trainer.run(
        Stage(
            name=name,
            epochs=config.epochs_at(t),
            batches=_batches(learner, t),
            losses=losses,
            parameters=_groups(learner, t, [learner.indexer, learner.reconstructor], codebook),
            learning=[learner.indexer, learner.reconstructor],
            after_epoch=after_epoch,
        )
    )


def settle(learner: Learner) -> None:
    """Eq. 10 for every position: the final model learns to give all codes of the table.

    Codes of new documents come from the final model; these last epochs make it agree with the table.
    """
    config, T = learner.config, len(learner.config.sizes)

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        codes = learner.codes(T)[learner.places(rows)]
        hidden = learner.indexer(learner.memories.memory(rows), codes[:, : T - 1])
        loss = _commitment(learner, hidden, codes)
        part = learner.part_of(rows) if config.commit_crop else None
        if part is not None:
            hidden = learner.indexer(part, codes[:, : T - 1])
            loss = loss + config.commit_crop * _commitment(learner, hidden, codes)
        return {"loss": loss}

    learner.trainer.run(
        Stage(
            name="settling",
            epochs=config.settle_epochs,
            batches=_batches(learner, 0),
            losses=losses,
            parameters=_groups(learner, T - 1, [learner.indexer]),
            learning=[learner.indexer],
        )
    )


@dataclass(frozen=True)
class Batch:
    """What position t sees of B documents with known prefixes."""

    rows: np.ndarray  # (B,)
    places: Tensor  # (B,): the rows, on the device
    prefix: Tensor  # (B, t) int64
    memory: Memory  # of the first view of each document
    hidden: Tensor  # (B, t+1, D): h^0 ... h^t
    view: Tensor | None  # (B, D): h^t under another dropout mask or of a part, where Eq. 9 asks for it
    part: Tensor | None = None  # (B, t+1, D): h^0 ... h^t of a part of each document, where a loss asks for it

    @property
    def t(self) -> int:
        return self.prefix.shape[1]

    @property
    def h(self) -> Tensor:
        """h^t (B, D)."""
        return self.hidden[:, self.t]


def read(learner: Learner, rows: np.ndarray, t: int) -> Batch:
    """Eq. 1 for the documents `rows`, once or under two dropout masks, and for a part of each."""
    config, places = learner.config, learner.places(rows)
    prefix, views = learner.codes(t)[places], 2 if config.contrastive and config.view == "dropout" else 1
    memory = learner.memories.memory(rows, views)
    hidden, *others = learner.indexer(memory, prefix.repeat_interleave(views, 0)).unflatten(0, (-1, views)).unbind(1)
    view = others[0][:, t] if others else None
    part_memory = learner.part_of(rows)
    part = None if part_memory is None else learner.indexer(part_memory, prefix)
    if part is not None and config.contrastive and config.view == "crop":
        view = part[:, t]
    return Batch(rows, places, prefix, memory.first_of(len(rows)), hidden, view, part)


def position_terms(
    learner: Learner,
    batch: Batch,
    vector: Tensor,
    targets: Tensor | None = None,
    codes: Tensor | None = None,
) -> dict[str, Tensor]:
    """The losses of Eq. 11 and 13 that are switched on, unweighted.

    `vector` (B, D) stands for the t-th code when the text is rebuilt: h^t itself (Eq. 13), or what the codebook makes
    of it (Eq. 11). With `targets` (B,) the codes that spreading aims at cost, too. `codes` (B,) are what a part must
    lead to at position t, where that has any yet.
    """
    config, t, h = learner.config, batch.t, batch.h
    known = [code.detach() for code in learner.indexer.code_vectors(batch.prefix)]
    terms: dict[str, Tensor] = {}
    if config.reconstruction:
        terms["reconstruction"] = rebuild(learner, batch.rows, [*known, vector], t)
    if batch.view is not None:
        vectors, view = parallel.gathered(torch.stack([h.float(), batch.view.float()], 1)).unbind(1)  # of the batch
        contrast = contrastive_loss(
            vectors, view, learner.codes(t)[learner.places(parallel.whole(batch.rows))], learner.contrast
        )
        terms["contrastive"] = parallel.of_batch(contrast)
    if config.commitment and t:
        terms["commitment"] = _commitment(learner, batch.hidden, batch.prefix)
    if batch.part is not None and config.commit_crop:
        path = batch.prefix if codes is None else torch.cat([batch.prefix, codes[:, None]], dim=1)
        terms["part"] = _commitment(learner, batch.part, path)
    if targets is not None:
        spread = nn.functional.cross_entropy(learner.indexer.codebooks[t].logits(h), targets)
        terms["spread"] = parallel.of_documents(spread)
    if config.at("alignment", t):
        documents = pool(batch.memory.states, batch.memory.weight).detach()
        rebuilt = learner.reconstructor.document_vector([*known, h]).float()
        alignment = document_loss(rebuilt, documents - filled(learner.state.mean))
        terms["alignment"] = parallel.of_documents(alignment)
    return terms


def total(config: LearnConfig, t: int, terms: dict[str, Tensor]) -> Tensor:
    """The paper's sum (Eq. 11 and 13) and the terms that are ours; a loss that is switched off is 0."""
    off = torch.zeros((), requires_grad=True)
    return (
        config.reconstruction * terms.get("reconstruction", off)
        + config.contrastive * terms.get("contrastive", off)
        + config.commitment * terms.get("commitment", off)
        + config.at("alignment", t) * terms.get("alignment", off)
        + terms.get("spread", off)
        + config.commit_crop * terms.get("part", off)
    )


def _score(learner: Learner, t: int, stand_in: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """How well tokens are rebuilt, where they are; `stand_in` makes of h^t (B, D) what stands for the t-th code."""

    def vectors(rows: np.ndarray) -> list[Tensor]:
        known = learner.indexer.code_vectors(learner.codes(t)[rows])
        return [*known, stand_in(hidden_states(learner, t, rows))]

    return rebuilding_score(learner, vectors, t) if learner.config.reconstruction else {}


def _centre(learner: Learner, t: int) -> None:
    """Take the mean of h^t, before position t has learned, as its origin, so that directions tell apart.

    With `center` the documents of one first code have an origin of their own at later positions, their mean.
    A code of a single document stays with the mean of all, or nothing would be left of that document.
    """
    rows = torch.randperm(len(learner.memories))[:20000].sort().values.numpy()
    learner.indexer.centre[t] = 0
    hidden = hidden_states(learner, t, rows)
    learner.indexer.centre[t] = hidden.mean(0)
    if t and learner.config.center:
        means, count = group_means(hidden, learner.codes(1)[rows, 0], learner.config.sizes[0])
        learner.indexer.shift(t)[count > 1] = (means - hidden.mean(0))[count > 1]


def _take_mean(learner: Learner) -> None:
    """Fix the mean (D) of the documents' vectors before a position learns: what its alignment centres by.

    With a frozen encoder it is the same at every position, and taken once. Where the encoder learns the vectors move
    with it, so the mean is taken anew at each position and stays while that position learns.
    """
    if learner.state.mean is None or learner.memories.backbone.learns:
        learner.state.mean = mean_document(learner)


def _commitment(learner: Learner, hidden: Tensor, codes: Tensor) -> Tensor:
    logits = [learner.indexer.codebooks[j].logits(hidden[:, j]) for j in range(codes.shape[1])]
    return parallel.of_documents(commitment_loss(logits, codes))


def _batches(learner: Learner, t: int) -> Callable[[np.random.Generator], list[np.ndarray]]:
    lengths, size = learner.memories.lengths, learner.config.batch_size
    return lambda rng: prefix_batches(learner.codes(t).cpu().numpy(), lengths, size, rng)


def _groups(
    learner: Learner, t: int, modules: Sequence[nn.Module], codebook: Codebook | None = None
) -> list[dict[str, Any]]:
    """AdamW groups of what learns in `modules`; of the codebooks this one alone, or none.

    The indexer has a rate of its own at each position, and its pretrained backbone another.
    """
    config, indexer = learner.config, learner.indexer
    rates = {p: config.at("indexer_learning_rate", t) for p in indexer.parameters()}
    rates |= dict.fromkeys(indexer.backbone.pretrained(), config.encoder_learning_rate)
    still = set(indexer.codebooks.parameters()) - set(() if codebook is None else codebook.parameters())
    learning = [p for module in modules for p in module.parameters() if p.requires_grad and p not in still]
    return adamw_groups(((p, rates.get(p, config.learning_rate)) for p in learning), config.weight_decay)
