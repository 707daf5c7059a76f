"""One step down the trie: nodes with their prefixes -> all their children, scored.

Documents that came after training (`Trie.with_new`): the model was never trained to go on to them from the last
prefix that they share with a known one, so the probability p that it gives them from there is too low. It is raised by
`novelty` nats, softly bounded by the mean m of what the n known documents below that prefix have from there (what it
gives to codes that go on to them, over n): to 1 / (1 / (e^novelty p) + 1 / m). So, over all questions, a new document
gains at most what a known one of the same prefix has on average, however large `novelty` is; and the score of a prefix
stays an upper bound of all below.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lmindexer.ids.trie import Trie
from lmindexer.model.backbone import Memory
from lmindexer.model.codebook import Codebook

AT_ONCE = 4096  # prefixes in one call of the decoder, so that memory stays bounded


@dataclass(frozen=True)
class Beams:
    """V nodes of one level for each query, in the order of their paths. Score -inf: there is no such node."""

    nodes: Tensor  # (B, V) int64
    scores: Tensor  # (B, V) float32
    prefix: Tensor  # (B, V, t) int64
    log_p: Tensor  # (B, V) float32, the scores of nodes that known documents are below
    parting: Tensor  # (B, V) float32, log P of the last node on the path that known documents are below
    mean: Tensor  # (B, V) float32, log of what these have on average from there; not yet known at that node itself

    @classmethod
    def root(cls, memory: Memory) -> "Beams":
        """What every search begins with: of each query the root of the trie."""
        B, device = len(memory.states), memory.states.device
        root, certain = torch.zeros(B, 1, dtype=torch.long, device=device), torch.zeros(B, 1, device=device)
        return cls(root, certain, root[..., None][..., :0], certain, certain, certain)


def children_of(
    read: Callable[[Tensor], Tensor], codebook: Codebook, trie: Trie, beams: Beams, level: int, renormalise: bool
) -> Beams:
    """All children of the beams (B, V), in their W slots (B, V * W), scored; prefixes are still the beams'.

    `read` is `SemanticIndexer.reader` of the queries' memory.
    """
    width = max(AT_ONCE // len(beams.nodes), 1)
    pieces = zip(beams.nodes.split(width, 1), beams.prefix.split(width, 1), strict=True)
    parts = [_log_p(read, codebook, trie, nodes, prefix, level, renormalise) for nodes, prefix in pieces]
    log_p, mean = (torch.cat(part, 1) for part in zip(*parts, strict=True))
    return _scored(trie, beams, beams.log_p[..., None] + log_p, mean, level)


def _log_p(
    read: Callable[[Tensor], Tensor],
    codebook: Codebook,
    trie: Trie,
    nodes: Tensor,
    prefix: Tensor,
    level: int,
    renormalise: bool,
) -> tuple[Tensor, Tensor]:
    """log P_s of the children of nodes (B, V) with prefixes (B, V, t): (B, V, W), -inf in empty slots.

    And the log of what the known documents below each node have on average (B, V): -inf where there is none.
    """
    hidden = read(prefix.flatten(0, 1)).view(*nodes.shape, -1)  # (B, V, D)
    logits = codebook.logits(hidden).float()  # (B, V, K)
    children = trie.children(nodes, level)
    allowed = logits.gather(-1, children.codes).masked_fill(~children.exists, -torch.inf)  # (B, V, W)
    total = (allowed if renormalise else logits).logsumexp(-1, keepdim=True)
    if not trie.known:
        return allowed - total, torch.zeros_like(total[..., 0])
    known = logits.masked_fill(~trie.goes_on(nodes, level), -torch.inf).logsumexp(-1)  # (B, V)
    return allowed - total, known - total[..., 0] - trie.known[level][nodes].log()


def _scored(trie: Trie, beams: Beams, log_p: Tensor, mean: Tensor, level: int) -> Beams:
    """All children of the beams, of these log P (B, V, W), in their slots (B, V * W); prefixes are still the beams'.

    Nodes below which all documents are new are favoured, from the last node on that has known ones below it. `mean`
    (B, V) is of those below each beam.
    """
    widest = log_p.shape[-1]
    nodes = trie.children(beams.nodes, level).nodes.flatten(1)
    log_p = log_p.flatten(1)
    if not trie.known:
        return Beams(nodes, log_p, beams.prefix, log_p, log_p, log_p)
    mean = mean.where(trie.known[level][beams.nodes] > 0, beams.mean).repeat_interleave(widest, 1)
    parting = beams.parting.repeat_interleave(widest, 1)
    is_new = trie.known[level + 1][nodes] == 0
    since = log_p - parting
    favoured = since + trie.novelty
    if trie.novelty > 0:
        favoured = -torch.logaddexp(-favoured, -mean)
        favoured = favoured.maximum(since)
    scores = (parting + favoured).where(is_new & (log_p > -torch.inf), log_p)
    return Beams(nodes, scores, beams.prefix, log_p, parting.where(is_new, log_p), mean)


def follow(trie: Trie, below: Beams, scores: Tensor, best: Tensor, level: int) -> Beams:
    """The beams at `best` (B, n), places among all children (B, V * W); where scores are -inf there is none."""
    parent = best // (scores.shape[1] // below.prefix.shape[1])
    scores = scores.gather(1, best)
    exists = scores > -torch.inf
    nodes = below.nodes.gather(1, best).where(exists, 0)
    prefix = below.prefix.gather(1, parent[..., None].expand(-1, -1, level))
    prefix = torch.cat([prefix, trie.codes(nodes, level)[..., None]], -1)
    log_p = below.log_p.gather(1, best).where(exists, -torch.inf)
    return Beams(nodes, scores, prefix, log_p, below.parting.gather(1, best), below.mean.gather(1, best))
