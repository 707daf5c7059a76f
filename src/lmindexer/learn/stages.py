"""The stages of Algorithm 1: reconstructor warm-up (Eq. 12), encoder warm-up (Eq. 13), full training (Eq. 11)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.config import LearnConfig
from lmindexer.ids.quality import perplexity, used_share
from lmindexer.ids.table import path_ids
from lmindexer.learn.batches import prefix_batches
from lmindexer.learn.losses import (
    commitment_loss,
    contrastive_loss,
    document_loss,
    macro_f1,
    reconstruction_loss,
    split_hints,
)
from lmindexer.learn.memories import Memories
from lmindexer.model.backbone import Memory
from lmindexer.model.decoder import pool
from lmindexer.model.reconstructor import Reconstructor
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.training import Stage, Trainer


@dataclass
class Learner:
    """All that a stage needs: what learns, what it learns from, and how."""

    config: LearnConfig
    indexer: SemanticIndexer
    reconstructor: Reconstructor
    memories: Memories
    trainer: Trainer

    @property
    def scale(self) -> float:
        return float(self.indexer.backbone.dim**-0.5)

    def codes(self, t: int) -> Tensor:
        """The codes learned so far (N, t), where a resumed run may hold more."""
        return self.trainer.arrays["codes"][:, :t]


def warm_up_reconstructor(learner: Learner) -> None:
    """Eq. 12: the reconstructor alone, from hints alone; the encoder is not even asked."""
    config = learner.config

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        return _with_total(config, {"reconstruction": _rebuild(learner, rows, [], 0)[0]})

    learner.trainer.run(
        Stage(
            name="reconstructor warm-up",
            epochs=config.reconstructor_epochs if config.reconstruction else 0,
            batches=_batches(learner, 0),
            losses=losses,
            parameters=_groups(learner, [learner.reconstructor]),
            learning=[learner.reconstructor],
        )
    )


def warm_up_encoder(learner: Learner, t: int) -> None:
    """Eq. 13: encoder and reconstructor, with the raw h^t in the place of the t-th code."""
    learner.trainer.once(f"position {t}: centre", lambda: _centre(learner, t))
    _train(learner, t, f"position {t}: warm-up", learner.config.warmup_epochs, quantized=False)


def train_position(learner: Learner, t: int) -> None:
    """Eq. 11: encoder, reconstructor and codebook t together, with the code in place of h^t."""
    _train(learner, t, f"position {t}: training", learner.config.epochs, quantized=True)


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
            parameters=_groups(learner, [learner.indexer]),
            learning=[learner.indexer],
        )
    )


@torch.no_grad()
def hidden_states(learner: Learner, t: int, rows: np.ndarray | None = None) -> Tensor:
    """h^t (n, D) of the rows (all by default) given their first t codes, without dropout."""
    learner.indexer.eval()
    rows = np.arange(len(learner.memories)) if rows is None else rows
    hidden = torch.empty(len(rows), learner.indexer.backbone.dim, device=learner.memories.device)
    order = np.argsort(learner.memories.lengths[rows], kind="stable")
    for at in range(0, len(order), 256):
        part = order[at : at + 256]
        memory = learner.memories.memory(rows[part])
        hidden[part] = learner.indexer(memory, learner.codes(t)[rows[part]])[:, -1]
    return hidden


@torch.no_grad()
def assign(learner: Learner, t: int) -> np.ndarray:
    """Eq. 3 for every document: the codes (N,) of position t."""
    learner.indexer.eval()
    codes = np.empty(len(learner.memories), np.int32)
    for rows in learner.memories.batches():
        hidden = learner.indexer(learner.memories.memory(rows), learner.codes(t)[rows])
        codes[rows] = learner.indexer.codebooks[t].assign(hidden[:, -1]).cpu().numpy()  # type: ignore[operator]
    return codes


@torch.no_grad()
def final_codes(learner: Learner) -> np.ndarray:
    """The codes (N, T) that the model gives by itself, as it would to documents it has never seen."""
    learner.indexer.eval()
    codes = np.empty((len(learner.memories), len(learner.config.sizes)), np.int32)
    for rows in learner.memories.batches():
        codes[rows] = learner.indexer.generate(learner.memories.memory(rows)).cpu().numpy()
    return codes


@torch.no_grad()
def rebuilding_quality(learner: Learner, sample: int = 2000) -> dict[str, dict[str, float]]:
    """How well hidden tokens are rebuilt from hints and all codes: a document's own, another's, or none.

    Nats and accuracy a token (weighted as in training) over the full vocabulary, with the hint ratio of
    the last position, on a sample of documents. Codes that tell nothing rebuild as well when shuffled.
    """
    config, T = learner.config, len(learner.config.sizes)
    learner.indexer.eval()
    learner.reconstructor.eval()
    torch.manual_seed(config.seed)
    rows = torch.randperm(len(learner.memories))[:sample].numpy()
    codes = learner.codes(T)
    sources = {"codes": codes[rows], "shuffled codes": codes[np.roll(rows, 1)], "hints alone": None}
    found = {}
    for name, given in sources.items():
        torch.manual_seed(config.seed)  # the same tokens are hidden each time
        nats, right, weight = 0.0, 0.0, 0.0
        for at in range(0, len(rows), 64):
            vectors = [] if given is None else learner.indexer.code_vectors(given[at : at + 64])
            scored = _score_hidden_tokens(learner, rows[at : at + 64], vectors, T - 1)
            nats, right, weight = nats + scored[0], right + scored[1], weight + scored[2]
        found[name] = {"nats": nats / max(weight, 1e-9), "accuracy": right / max(weight, 1e-9)}
    return found


def _score_hidden_tokens(
    learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int
) -> tuple[float, float, float]:
    """Sums over hidden tokens: weighted nats, weighted hits, weight."""
    z, targets, importance, _ = _hidden_tokens(learner, rows, vectors, t)
    if not len(z):
        return 0.0, 0.0, 0.0
    logits = learner.reconstructor.token_logits(z)
    nats = nn.functional.cross_entropy(logits, targets, reduction="none")
    hits = (logits.argmax(1) == targets).float()
    return float(nats @ importance), float(hits @ importance), float(importance.sum())


def _train(learner: Learner, t: int, name: str, epochs: int, quantized: bool) -> None:
    codebook = learner.indexer.codebooks[t]

    def losses(rows: np.ndarray) -> dict[str, Tensor]:
        config, prefix = learner.config, learner.codes(t)[rows]
        memory = learner.memories.memory(rows)
        hidden = learner.indexer(memory, prefix)  # (B, t+1, D)
        h = hidden[:, t]
        if quantized:
            learner.trainer.arrays["chosen"][rows] = codebook.assign(h.detach()).to(learner.trainer.arrays["chosen"])  # type: ignore[operator]
        known = [vector.detach() for vector in learner.indexer.code_vectors(prefix)]
        vectors = [*known, codebook.quantize(h) if quantized else h]  # type: ignore[operator]
        terms: dict[str, Tensor] = {}
        if config.reconstruction:
            terms["reconstruction"], terms["macro_f1"] = _rebuild(learner, rows, vectors, t)
        if config.contrastive:
            view = learner.indexer(memory, prefix)[:, t]  # the same documents under another dropout mask
            terms["contrastive"] = contrastive_loss(h.float(), view.float(), prefix, learner.scale)
        if config.commitment and t:
            terms["commitment"] = _commitment(learner, hidden, prefix)
        if config.alignment:
            terms["alignment"] = _align(learner, memory, [*known, h])
        return _with_total(config, terms)

    def after_epoch(epoch: int) -> dict[str, float]:
        if not quantized:
            return {}
        return watch_codes(learner, t, restart=learner.config.restart_dead_codes and epoch + 1 < epochs)

    learner.trainer.arrays.setdefault("chosen", torch.zeros(len(learner.memories), dtype=torch.long))
    modules = [learner.indexer, learner.reconstructor]
    for other in learner.indexer.codebooks:
        other.requires_grad_(quantized and other is codebook)
    learner.trainer.run(
        Stage(
            name=name,
            epochs=epochs,
            batches=_batches(learner, t),
            losses=losses,
            parameters=_groups(learner, modules),
            learning=modules,
            after_epoch=after_epoch,
        )
    )


def watch_codes(learner: Learner, t: int, restart: bool) -> dict[str, float]:
    """Collapse seen as it happens: perplexity, share of codes used, documents sharing their path."""
    size = learner.config.sizes[t]
    chosen = learner.trainer.arrays["chosen"].cpu().numpy()
    path = path_ids(np.column_stack([learner.codes(t).cpu().numpy(), chosen]))
    numbers = {
        "perplexity": perplexity(chosen, size),
        "used": used_share(chosen, size),
        "sharing": float((np.bincount(path)[path] > 1).mean()),
    }
    counts = np.bincount(chosen, minlength=size)
    dead = np.flatnonzero(counts == 0)
    enough = min(size, len(chosen)) // 2
    if len(dead) > enough or numbers["perplexity"] < 0.1 * min(size, len(chosen)):
        learner.trainer.progress.say(
            f"warning: position {t} uses {size - len(dead)} of {size} codes (perplexity "
            f"{numbers['perplexity']:.0f}); try smaller --sizes, a lower --learning-rate or more --warmup-epochs"
        )
    if restart and len(dead):
        _restart(learner, t, dead, chosen, counts)
        numbers["restarted"] = len(dead)
    return numbers


@torch.no_grad()
def _restart(learner: Learner, t: int, dead: np.ndarray, chosen: np.ndarray, counts: np.ndarray) -> None:
    """Put unused codes on documents of crowded codes, chosen with odds ~ the crowd."""
    generator = torch.Generator().manual_seed(torch.initial_seed() % 2**63)
    odds = torch.from_numpy(counts[chosen].astype(np.float64))
    picked = torch.multinomial(odds, min(len(dead), len(chosen)), generator=generator).numpy()
    weight = learner.indexer.codebooks[t].weight
    places = torch.from_numpy(dead[: len(picked)]).to(weight.device)  # type: ignore[arg-type]
    length = weight.norm(dim=1).mean()  # type: ignore[operator, union-attr]
    hidden = hidden_states(learner, t, picked)
    weight[places] = hidden / hidden.norm(dim=1, keepdim=True) * length  # type: ignore[operator, index]


def _centre(learner: Learner, t: int) -> None:
    """Take the mean of the untrained h^t as the origin of position t, so that directions tell apart."""
    rows = torch.randperm(len(learner.memories))[:20000].sort().values.numpy()
    learner.indexer.centre[t] = 0  # type: ignore[operator, index]
    learner.indexer.centre[t] = hidden_states(learner, t, rows).mean(0)  # type: ignore[operator, index]


def _rebuild(learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int) -> tuple[Tensor, Tensor]:
    """Eq. 4/8 and the Macro-F1 of the rebuilt tokens."""
    reconstructor = learner.reconstructor
    z, targets, importance, present = _hidden_tokens(learner, rows, vectors, t)
    if not len(z):
        zero = reconstructor.bias.sum() * 0.0
        return zero, zero.detach()
    z, candidates = reconstructor.out_norm(z), None
    if learner.config.softmax == "batch":
        candidates = present
        targets = torch.searchsorted(candidates, targets)
    weight, bias = reconstructor.output_weights(candidates)
    loss = reconstruction_loss(z, targets, weight, bias, importance)
    with torch.no_grad():
        some = slice(0, 512)  # enough for the curve, and no [B, L, V]
        predicted = (z[some] @ weight.T.to(z.dtype) + bias).argmax(1)
        score = macro_f1(predicted, targets[some])
    return loss, score


def _hidden_tokens(
    learner: Learner, rows: np.ndarray, vectors: list[Tensor], t: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """z_w (M, D) of the rows' masked tokens, the tokens (M), their importance (M), and all present (C)."""
    backbone = learner.indexer.backbone
    tokens, mask = learner.memories.tokens(rows)
    maskable = mask & ~backbone.special[tokens]  # type: ignore[index, operator]
    hints, places, counted = split_hints(maskable, learner.config.hint_ratio(t))
    longest = int(counted.sum(1).max())
    places, counted = places[:, :longest], counted[:, :longest]
    targets = tokens.gather(1, places)[counted]
    importance = backbone.token_weight[targets]  # type: ignore[index]
    z = learner.reconstructor(vectors, tokens, hints, places)[counted]
    return z, targets, importance, tokens[maskable].unique()


def _align(learner: Learner, memory: Memory, vectors: list[Tensor]) -> Tensor:
    documents = pool(memory.states, memory.weight).detach().float()
    rebuilt = learner.reconstructor.document_vector(vectors).float()
    return document_loss(rebuilt, documents - documents.mean(0))


def _commitment(learner: Learner, hidden: Tensor, codes: Tensor) -> Tensor:
    logits = [book.logits(hidden[:, j]) for j, book in zip(range(codes.shape[1]), learner.indexer.codebooks)]  # type: ignore[operator]  # noqa: B905
    return commitment_loss(logits, codes)


def _with_total(config: LearnConfig, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    weights = {name: getattr(config, name) for name in ("reconstruction", "contrastive", "commitment", "alignment")}
    weighted = [weights[name] * x for name, x in terms.items() if name in weights]
    total = torch.stack(weighted).sum() if weighted else torch.zeros((), requires_grad=True)
    return {"loss": total, **terms}


def _batches(learner: Learner, t: int) -> Callable[[np.random.Generator], list[np.ndarray]]:
    lengths, size = learner.memories.lengths, learner.config.batch_size
    return lambda rng: prefix_batches(learner.codes(t).cpu().numpy(), lengths, size, rng)


def _groups(learner: Learner, modules: list[nn.Module]) -> list[dict[str, object]]:
    """AdamW groups: the pretrained backbone learns at its own rate; vectors and biases do not decay."""
    config = learner.config
    rates = {id(p): config.indexer_learning_rate for p in learner.indexer.parameters()}
    rates |= {id(p): config.encoder_learning_rate for p in learner.indexer.backbone.model.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for module in modules:
        for p in module.parameters():
            if p.requires_grad:
                rate = rates.get(id(p), config.learning_rate)
                decay = config.weight_decay if p.ndim > 1 else 0.0
                groups.setdefault((rate, decay), []).append(p)
    return [{"params": list(ps), "lr": rate, "weight_decay": decay} for (rate, decay), ps in groups.items()]
