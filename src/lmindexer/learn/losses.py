"""The losses of section 3 as plain functions of tensors: Eq. 4/8, 9, 10, and our document term."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def reconstruction_loss(
    z: Float[Tensor, "M D"],
    targets: Int[Tensor, " M"],
    weight: Float[Tensor, "C D"],
    bias: Float[Tensor, " C"],
    importance: Float[Tensor, " M"] | None = None,
    chunk: int = 1024,
) -> Float[Tensor, ""]:
    """Eq. 4/8: mean cross-entropy, in nats, of rebuilding the M masked tokens.

    `targets` index the C candidate tokens; `importance` makes it a weighted mean. Logits exist for
    `chunk` slots at a time, so a full vocabulary never stands in memory; gradients are made in the same pass.
    Under autocast the products with `weight` are in half precision, as of any output layer; the softmax is not.
    """
    weights = torch.ones_like(z[:, 0]) if importance is None else importance
    share = weights / weights.sum().clamp_min(1e-9)
    loss: Tensor = _ChunkedCrossEntropy.apply(z, targets, weight, bias, share, chunk)
    return loss


def contrastive_loss(
    hidden: Float[Tensor, "B D"],
    view: Float[Tensor, "B D"],
    prefix: Int[Tensor, "B t"],
    scale: float = 1.0,
) -> Float[Tensor, ""]:
    """Eq. 9: push apart documents that share a path so far.

    `hidden` and `view` are h_d of the same B documents under two dropout masks; the diagonal is each
    document's positive. At t = 0 every prefix is empty, so every document shares it and this is plain
    in-batch contrast. A document alone with its prefix contributes 0. `scale` multiplies the dot
    products; training passes 1 / (temperature * D), so that it works on cosines.
    """
    same_path = (prefix[:, None] == prefix[None, :]).all(-1)  # (B, B)
    with torch.autocast(hidden.device.type, enabled=False):
        scores = (hidden.float() @ view.float().T * scale).masked_fill(~same_path, -torch.inf)  # (B, B)
    return F.cross_entropy(scores, torch.arange(len(hidden), device=hidden.device))


def commitment_loss(logits: Sequence[Float[Tensor, "B _"]], codes: Int[Tensor, "B t"]) -> Float[Tensor, ""]:
    """Eq. 10: -sum over j < t of log P_s(c^j | d, c^{<j}), mean over the B documents.

    `logits[j]` is `Codebook.logits` of h^j, over the codes of position j alone. No earlier position: 0.
    """
    terms = [F.cross_entropy(scores, codes[:, j]) for j, scores in enumerate(logits)]
    return torch.stack(terms).sum() if terms else torch.zeros((), device=codes.device)


def generation_loss(
    logits: Sequence[Float[Tensor, "B _"]],
    codes: Int[Tensor, "B T"],
    weight: Float[Tensor, " B"],
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Eq. 14: -log P of the ID of the document that answers, summed over its positions; a weighted mean of B pairs.

    `smoothing` is the share of each target that is spread over all codes of its position.
    """
    nats = [
        F.cross_entropy(logits_of_position, codes[:, t], reduction="none", label_smoothing=smoothing)
        for t, logits_of_position in enumerate(logits)
    ]
    return _of_pairs(nats, weight)


def soft_generation_loss(
    logits: Sequence[Float[Tensor, "B _"]],
    documents: Int[Tensor, "B M T"],
    share: Float[Tensor, "B M"],
    weight: Float[Tensor, " B"],
    smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Eq. 14 where M documents answer each question, to these shares; the logits are of the ID of the first of them.

    At each position the target of a code is the share of the documents which have it, of all that have the ID of the
    first so far. With one document it is `generation_loss`.
    """
    on_the_path = share
    nats = list[Tensor]()
    for t, logits_of_position in enumerate(logits):
        log_p = logits_of_position.float().log_softmax(-1)
        target = on_the_path / on_the_path.sum(1, keepdim=True)  # (B, M)
        exact = -(target * log_p.gather(1, documents[:, :, t])).sum(1)
        nats.append((1 - smoothing) * exact - smoothing * log_p.mean(1))
        on_the_path = on_the_path * (documents[:, :, t] == documents[:, :1, t])
    return _of_pairs(nats, weight)


def _of_pairs(nats: list[Tensor], weight: Tensor) -> Tensor:
    """Of each position the nats (B,) of every pair -> their sum over positions, a weighted mean of the pairs."""
    return (torch.stack(nats).sum(0) * weight).sum() / weight.sum()


def document_loss(rebuilt: Float[Tensor, "B D"], documents: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
    """Rebuild the document's own vector from its earlier codes and h^t: 1 - cosine, mean over documents.

    Not in the paper, which rebuilds tokens alone: words alike in form pull codes towards word clusters,
    the encoder's vector holds them to meaning (docs/log.md, 2026-11-21).
    """
    return (1 - F.cosine_similarity(rebuilt, documents, dim=-1)).mean()


def macro_f1(predicted: Int[Tensor, " M"], targets: Int[Tensor, " M"], most: int = 1000) -> Float[Tensor, ""]:
    """Macro-F1 of rebuilt tokens (Figure 4a-c) over the tokens that occur among the targets.

    At most the `most` commonest of them, so that a value from few samples does not swing.
    """
    tokens, counts = targets.unique(return_counts=True)
    tokens = tokens[counts.argsort(dim=0, descending=True, stable=True)[:most]]
    hit = torch.bincount(targets[predicted == targets], minlength=int(max(targets.max(), predicted.max())) + 1)
    said = torch.bincount(predicted, minlength=len(hit))
    true = torch.bincount(targets, minlength=len(hit))
    return (2 * hit[tokens] / (said + true)[tokens]).float().mean()


def split_hints(
    maskable: Bool[Tensor, "B L"], ratio: float, most: int = 0
) -> tuple[Bool[Tensor, "B L"], Int[Tensor, "B M"], Bool[Tensor, "B M"]]:
    """Choose the hints d_h: about `ratio` of each document's tokens, at random, and which of the rest is rebuilt.

    `maskable` is true for tokens that are neither padding nor special. Of n tokens floor(ratio * n + u) are hints,
    u uniform. Returns the hints, the places of the tokens to rebuild in random order, and which of those places
    count. All other tokens are rebuilt, or with `most` so many of them at random: the mean of Eq. 4/8 over these has
    the same expectation. Nothing leaves the device, and M depends on L, `ratio` and `most` alone.
    """
    B, L = maskable.shape
    noise = torch.rand(B, L, device=maskable.device).masked_fill(~maskable, torch.inf)
    n = maskable.sum(1, keepdim=True)
    shown = (ratio * n + torch.rand(B, 1, device=maskable.device)).floor().long()
    order = noise.argsort(dim=1)  # maskable places first, in random order
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(L, device=order.device).expand(B, L))
    hints = maskable & (rank < shown)
    M = L - math.floor(ratio * L)
    nth = shown + torch.arange(min(M, most or M), device=order.device)  # (B, M), among the maskable ones
    return hints, order.gather(1, nth.clamp(max=L - 1)), nth < n


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of z W^T + b with gradients made chunk by chunk in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, targets: Tensor, weight: Tensor, bias: Tensor, share: Tensor, chunk: int
    ) -> Tensor:
        grads = [torch.zeros_like(x) if need else None
                 for x, need in zip((z, weight, bias), _needed(ctx), strict=True)]  # fmt: skip
        total = z.new_zeros((), dtype=torch.float32)
        weight_now = weight.to(z.dtype)
        for at in range(0, len(z), chunk):
            part, goal, counts = z[at : at + chunk], targets[at : at + chunk], share[at : at + chunk].float()
            logits = (part @ weight_now.T).float() + bias
            log_sum = logits.logsumexp(1, keepdim=True)
            total += (counts * (log_sum.squeeze(1) - logits.gather(1, goal[:, None]).squeeze(1))).sum()
            slope = logits.sub_(log_sum).exp_()  # softmax, in place
            slope.scatter_add_(1, goal[:, None], -torch.ones_like(log_sum))
            slope *= counts[:, None]
            if grads[2] is not None:
                grads[2] += slope.sum(0)
            slope = slope.to(z.dtype)
            if grads[0] is not None:
                grads[0][at : at + chunk] = slope @ weight_now
            if grads[1] is not None:
                grads[1] += (slope.T @ part).to(weight.dtype)
        ctx.save_for_backward(*[g if g is not None else z.new_empty(0) for g in grads])
        return total

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        grads = [g * upstream.to(g.dtype) if need else None
                 for g, need in zip(ctx.saved_tensors, _needed(ctx), strict=True)]  # fmt: skip
        return grads[0], None, grads[1], grads[2], None, None


def _needed(ctx: Any) -> tuple[bool, bool, bool]:
    return ctx.needs_input_grad[0], ctx.needs_input_grad[2], ctx.needs_input_grad[3]
