"""The stages of Algorithm 1: reconstructor warm-up (Eq. 12), encoder warm-up (Eq. 13), full training (Eq. 11)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.config import LearnConfig
from lmindexer.learn.batches import prefix_batches
from lmindexer.learn.kmeans import group_means
from lmindexer.learn.learner import Learner, hidden_states, mean_document
from lmindexer.learn.losses import commitment_loss, contrastive_loss, document_loss
from lmindexer.learn.rebuild import rebuild
from lmindexer.learn.spread import spread_targets
from lmindexer.learn.watch import watch_codes
from lmindexer.model.backbone import Memory
from lmindexer.model.decoder import pool
from lmindexer.training import Stage


def warm_up_reconstructor(learner: Learner) -> None:
    """Eq. 12: the reconstructor alone, from hints alone; the encoder is not even asked."""
    config = learner.config

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        return _with_total(config, 0, {"reconstruction": rebuild(learner, rows, [], 0)[0]})

    learner.trainer.run(
        Stage(
            name="reconstructor warm-up",
            epochs=config.reconstructor_epochs if config.reconstruction else 0,
            batches=_batches(learner, 0),
            losses=losses,
            parameters=_groups(learner, 0, [learner.reconstructor]),
            learning=[learner.reconstructor],
        )
    )


def warm_up_encoder(learner: Learner, t: int) -> None:
    """Eq. 13: encoder and reconstructor, with the raw h^t in the place of the t-th code."""
    learner.trainer.once(f"c{t + 1}: centre", lambda: _centre(learner, t))
    _train(learner, t, f"c{t + 1}: warm-up", learner.config.warmup_epochs, quantized=False)


def train_position(learner: Learner, t: int) -> None:
    """Eq. 11: encoder, reconstructor and codebook t together, with the code in place of h^t."""
    _train(learner, t, f"c{t + 1}: training", learner.config.epochs, quantized=True)


def settle(learner: Learner) -> None:
    """Eq. 10 for every position: the final model learns to give all codes of the table.

    Codes of new documents come from the final model; these last epochs make it agree with the table.
    """
    config, T = learner.config, len(learner.config.sizes)

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        codes = learner.codes(T)[rows]
        hidden = learner.indexer(learner.memories.memory(rows), codes[:, : T - 1])
        return {"loss": _commitment(learner, hidden, codes)}

    learner.indexer.codebooks.requires_grad_(False)
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


def _train(learner: Learner, t: int, name: str, epochs: int, quantized: bool) -> None:
    codebook = learner.indexer.codebooks[t]
    spreading = quantized and t > 0 and learner.config.spread > 0

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        config, prefix = learner.config, learner.codes(t)[rows]
        views = 2 if config.contrastive else 1  # the same documents under two dropout masks
        memory = learner.memories.memory(rows, views)
        hidden, *view = learner.indexer(memory, prefix.repeat_interleave(views, 0)).unflatten(0, (-1, views)).unbind(1)
        h = hidden[:, t]  # of hidden (B, t+1, D)
        if quantized:
            learner.trainer.arrays["chosen"][rows] = codebook.assign(h.detach()).to(learner.trainer.arrays["chosen"])
        known = [vector.detach() for vector in learner.indexer.code_vectors(prefix)]
        vectors = [*known, codebook.quantize(h, config.gradient_temperature) if quantized else h]
        terms: dict[str, Tensor] = {}
        if config.reconstruction:
            terms["reconstruction"], terms["macro_f1"] = rebuild(learner, rows, vectors, t)
        if config.contrastive:
            terms["contrastive"] = contrastive_loss(h.float(), view[0][:, t].float(), prefix, learner.contrast)
        if config.commitment and t:
            terms["commitment"] = _commitment(learner, hidden, prefix)
        if spreading:
            targets = learner.trainer.arrays["targets"][rows]
            terms["spread"] = nn.functional.cross_entropy(codebook.logits(h), targets)
        if config.at("alignment", t):
            terms["alignment"] = _align(learner, memory.first_of(len(rows)), [*known, h], t)
        return _with_total(config, t, terms)

    def after_epoch(epoch: int) -> dict[str, float]:
        if not quantized:
            return {}
        last = epoch + 1 == epochs
        numbers = watch_codes(learner, t, restart=learner.config.restart_dead_codes and not last)
        if spreading and not last:
            aim()
        return numbers

    def aim() -> None:
        targets = spread_targets(learner, t, learner.config.spread)
        learner.trainer.arrays["targets"] = targets.to(learner.memories.device)

    if learner.config.at("alignment", t):
        learner.trainer.once(f"c{t + 1}: mean", lambda: _take_mean(learner, t))
    learner.trainer.arrays.setdefault("chosen", torch.zeros(len(learner.memories), dtype=torch.long))
    if spreading:
        learner.trainer.once(f"{name}, targets", aim)
    modules = [learner.indexer, learner.reconstructor]
    for other in learner.indexer.codebooks:
        other.requires_grad_(quantized and other is codebook)
    learner.trainer.run(
        Stage(
            name=name,
            epochs=epochs,
            batches=_batches(learner, t),
            losses=losses,
            parameters=_groups(learner, t, modules),
            learning=modules,
            after_epoch=after_epoch,
        )
    )


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


def _take_mean(learner: Learner, t: int) -> None:
    """Fix the mean (D) of the documents' vectors before position t learns: what alignment at t centres by.

    With a frozen encoder it is the same at every position. Where the encoder learns the vectors move with
    it, so the mean is taken anew at each position and stays while that position learns.
    """
    learner.trainer.arrays[f"mean_{t}"] = mean_document(learner)


def _align(learner: Learner, memory: Memory, vectors: list[Tensor], t: int) -> Tensor:
    documents = pool(memory.states, memory.weight).detach()
    rebuilt = learner.reconstructor.document_vector(vectors).float()
    return document_loss(rebuilt, documents - learner.trainer.arrays[f"mean_{t}"])


def _commitment(learner: Learner, hidden: Tensor, codes: Tensor) -> Tensor:
    logits = [learner.indexer.codebooks[j].logits(hidden[:, j]) for j in range(codes.shape[1])]
    return commitment_loss(logits, codes)


def _with_total(config: LearnConfig, t: int, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """The paper's sum (Eq. 11 and 13) and the two terms that are ours; a loss that is switched off is 0."""
    off = torch.zeros((), requires_grad=True)
    total = (
        config.reconstruction * terms.get("reconstruction", off)
        + config.contrastive * terms.get("contrastive", off)
        + config.commitment * terms.get("commitment", off)
        + config.at("alignment", t) * terms.get("alignment", off)
        + terms.get("spread", off)
    )
    return {"loss": total, **terms}


def _batches(learner: Learner, t: int) -> Callable[[np.random.Generator], list[np.ndarray]]:
    lengths, size = learner.memories.lengths, learner.config.batch_size
    return lambda rng: prefix_batches(learner.codes(t).cpu().numpy(), lengths, size, rng)


def _groups(learner: Learner, t: int, modules: list[nn.Module]) -> list[dict[str, object]]:
    """AdamW groups: the pretrained backbone learns at its own rate; vectors and biases do not decay."""
    config = learner.config
    rates = {id(p): config.at("indexer_learning_rate", t) for p in learner.indexer.parameters()}
    rates |= {id(p): config.encoder_learning_rate for p in learner.indexer.backbone.model.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module in modules:
        for p in module.parameters():
            if p.requires_grad:
                rate = rates.get(id(p), config.learning_rate)
                decay = config.weight_decay if p.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(p)
    return [{"params": list(ps), "lr": rate, "weight_decay": decay} for (rate, decay), ps in groups.items()]
