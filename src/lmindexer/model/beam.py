"""Documents found by generating their IDs (section 3.3): the search walks down the trie and nowhere else.

log P(path) is the sum of log P_s (Eq. 2) over its positions, either over all codes of the codebook, those that
no document has only masked, or renormalised over the codes which the trie allows. Documents of one path share
its score and come in the order of the trie's ranks; of paths with equal scores that of the lowest rank comes first.

The first j of the k documents found are the first j of any larger k. `beams` prefixes a position give all documents
that they lead to, in the order of their scores; where these are fewer than k, the search goes on with twice as many
prefixes, then four times as many, and what is new is appended: widths do not depend on k.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lmindexer.errors import InputError
from lmindexer.ids.trie import Trie
from lmindexer.model.backbone import Memory
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.model.steps import Beams, children_of, follow

HIGHEST = 2**40  # above every rank and every place
ROUNDING = 1e-3  # a score may differ by this share between batches of different shapes


@dataclass(frozen=True)
class Found:
    """The best documents of B queries, best first; where fewer than k exist, row -1 and score -inf."""

    rows: Tensor  # (B, k) int64
    # (B, k) float32, log P of the document's path, favoured if it is new; never rising: a document that only a wider
    # round found has no more than the one before it
    scores: Tensor


@torch.no_grad()
def beam_search(
    model: SemanticIndexer, memory: Memory, trie: Trie, k: int, beams: int = 20, *, renormalise: bool = False
) -> Found:
    """The k best documents among those that `beams` prefixes a position lead to.

    Always k documents where the trie has them: to a query whose prefixes lead to fewer, rounds with twice as many
    prefixes each append others. The keys and values of a query are computed once a round (`Backbone.reader`); with
    the small decoder its beams share them, other decoders repeat them for each.
    """
    _check(model, trie, k, beams)
    found = _round(model, memory, trie, k, beams, renormalise)
    while (short := _short(found, trie)) is not None:
        if beams >= _widest(trie):
            raise ValueError(f"every path was scored, yet fewer than {min(k, len(trie))} documents came out")
        beams *= 2
        longer = _appended(found, short, _round(model, memory.rows(short), trie, k, beams, renormalise))
        found.rows[short], found.scores[short] = longer.rows, longer.scores
    return found


@torch.no_grad()
def exact_search(
    model: SemanticIndexer, memory: Memory, trie: Trie, k: int, beams: int = 64, *, renormalise: bool = False
) -> Found:
    """The k documents of the highest log P of all.

    A first pass is `beam_search`; where its beams hold every prefix, each path was scored and that is the answer.
    Else its k-th score is a lower bound, and the second pass follows every prefix whose running log P, an upper
    bound of all below it, is not under that: the nodes a best-first search would open, level by level.
    """
    found = beam_search(model, memory, trie, k, beams, renormalise=renormalise)
    if beams >= _widest(trie):
        return found
    bound = found.scores[:, min(k, len(trie)) - 1, None]  # (B, 1)
    bound = bound - ROUNDING * (1 + bound.abs())
    levels = len(trie.sizes)

    def width(scores: Tensor, level: int) -> int:
        return k if level == levels - 1 else max(int((scores >= bound).sum(1).max()), 1)

    found = _documents(trie, _descend(model, memory, trie, width, renormalise, bound), k)
    if _short(found, trie) is not None:
        raise ValueError("paths that the first pass found were lost in the second")
    return found


@torch.no_grad()
def score_documents(
    model: SemanticIndexer, memory: Memory, trie: Trie, rows: Tensor, *, renormalise: bool = False
) -> Tensor:
    """The scores (B, C) that a search gives to documents `rows` (B, C) of the trie, whether its beams find them or not.

    A prefix that several of a query's documents share is decoded once.
    """
    read, beams, above = model.reader(memory), Beams.root(memory), torch.zeros_like(rows)
    beam = torch.zeros_like(rows)  # (B, C): which of the beams stands above each document
    for level, nodes in enumerate(trie.nodes_above(rows)):
        below = children_of(read, model.codebooks[level], trie, beams, level, renormalise)
        widest = below.nodes.shape[1] // beams.nodes.shape[1]
        slot = beam * widest + nodes - trie.levels[level].start[above]
        kept = torch.zeros_like(below.nodes, dtype=torch.bool).scatter_(1, slot, True)
        first = kept.byte().sort(stable=True, dim=1, descending=True).indices  # places of what is kept, ascending
        best = first[:, : int(kept.sum(1).max())]
        beams = follow(trie, below, below.scores.masked_fill(~kept, -torch.inf), best, level)
        beam, above = (kept.cumsum(1) - 1).gather(1, slot), nodes
    return beams.scores.gather(1, beam)


@torch.no_grad()
def watch_beams(
    model: SemanticIndexer, memory: Memory, trie: Trie, k: int, beams: int, *, renormalise: bool = False
) -> list[tuple[Beams, Beams]]:
    """The first round of `beam_search` at each position: all nodes that it looks at, and those that it keeps."""
    _check(model, trie, k, beams)
    seen = list[tuple[Beams, Beams]]()
    last = len(trie.sizes) - 1
    _descend(
        model, memory, trie, lambda _, level: beams if level < last else k, renormalise,
        watch=lambda below, kept: seen.append((below, kept)),
    )  # fmt: skip
    return seen


def _round(model: SemanticIndexer, memory: Memory, trie: Trie, k: int, beams: int, renormalise: bool) -> Found:
    """The k best documents of those that `beams` prefixes a position lead to, perhaps fewer."""
    levels = len(trie.sizes)

    def width(scores: Tensor, level: int) -> int:
        return beams if level < levels - 1 else k  # k leaves hold at least k documents

    return _documents(trie, _descend(model, memory, trie, width, renormalise), k)


def _appended(found: Found, short: Tensor, more: Found) -> Found:
    """The documents of the queries `short` (S,), then those of `more` (S, k) that are not among them: (S, k)."""
    k = more.rows.shape[1]
    rows = torch.cat([found.rows[short], more.rows], 1)  # (S, 2 k)
    scores = torch.cat([found.scores[short], more.scores], 1)
    ordered, place = rows.sort(stable=True, dim=1)
    again = torch.zeros_like(rows, dtype=torch.bool).scatter(1, place[:, 1:], ordered[:, 1:] == ordered[:, :-1])
    again |= rows < 0
    kept = again.byte().sort(stable=True, dim=1).indices[:, :k]
    again = again.gather(1, kept)
    scores = scores.gather(1, kept).masked_fill(again, -torch.inf)
    return Found(rows.gather(1, kept).masked_fill(again, -1), scores.cummin(1).values)


def _descend(
    model: SemanticIndexer,
    memory: Memory,
    trie: Trie,
    width: Callable[[Tensor, int], int],
    renormalise: bool,
    bound: Tensor | None = None,
    watch: Callable[[Beams, Beams], None] | None = None,
) -> Beams:
    """From the root to the leaves; `width(scores, level)` nodes of each level are kept, none below `bound` (B, 1).

    `watch` sees the nodes that are looked at on each level, and those that are kept.
    """
    read, beams = model.reader(memory), Beams.root(memory)
    broken = list[Tensor]()
    for level, codebook in enumerate(model.codebooks):
        below = children_of(read, codebook, trie, beams, level, renormalise)
        scores = below.scores  # (B, V * W)
        if bound is not None:
            scores = scores.masked_fill(scores < bound, -torch.inf)
        broken.append(below.log_p.isnan().any())
        n = min(width(scores, level), scores.shape[1], max(trie.nodes(level), 1))
        last = level == len(trie.sizes) - 1
        best = _best(scores, n, _leaf_ranks(trie, below) if last else None)
        beams = follow(trie, below, scores, best, level)
        if watch is not None:
            watch(below, beams)
    if torch.stack(broken).any():
        raise InputError(
            "the model gives probabilities that are not numbers; see lmindexer check, and learn or "
            "fine-tune the run anew"
        )
    return beams


def _leaf_ranks(trie: Trie, below: Beams) -> Tensor:
    """The ranks of leaves (B, M); that of an empty slot comes behind all."""
    spare = torch.arange(below.nodes.shape[1], device=below.nodes.device)
    return trie.leaf_ranks(below.nodes).long().where(below.log_p > -torch.inf, HIGHEST + spare)


def _best(scores: Tensor, n: int, ranks: Tensor | None = None) -> Tensor:
    """Places of the n highest of scores (B, M), in ascending order (B, n); of equal ones the first, or lowest rank."""
    B, M = scores.shape
    last = scores.topk(n).values[:, -1:]
    above, equal = scores > last, scores == last
    left = n - above.sum(1, keepdim=True)  # (B, 1), 1 to n
    if ranks is None:
        chosen = above | (equal & (equal.cumsum(1) <= left))
    else:
        lowest = ranks.masked_fill(~equal, 2 * HIGHEST).topk(n, largest=False).values  # (B, n), ascending
        chosen = above | (equal & (ranks <= lowest.gather(1, left - 1)))
    place = (chosen.cumsum(1) - 1).where(chosen, n)  # what is not chosen goes behind the end
    places = torch.arange(M, device=scores.device).expand(B, M)
    return places.new_zeros(B, n + 1).scatter_(1, place, places)[:, :n]


def _documents(trie: Trie, beams: Beams, k: int) -> Found:
    """The first k documents of the leaves (B, V), best leaf first."""
    by_rank = trie.leaf_ranks(beams.nodes).argsort(1)
    scores, order = beams.scores.gather(1, by_rank).sort(stable=True, dim=1, descending=True)
    leaves = beams.nodes.gather(1, by_rank.gather(1, order))
    held = trie.leaf_sizes(leaves).where(scores > -torch.inf, 0)  # (B, V)
    end = held.cumsum(1)
    slot = torch.arange(k, device=end.device).expand(len(end), k).contiguous()
    leaf = torch.searchsorted(end, slot, right=True)  # (B, k): which leaf the document comes from
    exists = leaf < leaves.shape[1]
    leaf = leaf.clamp(max=leaves.shape[1] - 1)
    place = trie.leaf_start[leaves.gather(1, leaf)] + slot - (end - held).gather(1, leaf)
    rows = trie.rows[place.where(exists, 0)].long()
    return Found(rows.where(exists, -1), scores.gather(1, leaf).where(exists, -torch.inf))


def _short(found: Found, trie: Trie) -> Tensor | None:
    """Which queries have fewer documents than there are (places), or None."""
    wanted = min(found.rows.shape[1], len(trie))
    short = (found.rows[:, wanted - 1] < 0).nonzero()[:, 0]
    return short if len(short) else None


def _widest(trie: Trie) -> int:
    """Beams that hold every prefix."""
    return max((trie.nodes(level) for level in range(len(trie.sizes) - 1)), default=1)


def _check(model: SemanticIndexer, trie: Trie, k: int, beams: int) -> None:
    if trie.sizes != model.sizes:
        raise ValueError(f"the trie's positions have {trie.sizes} codes and the model's {model.sizes}")
    if len(trie) == 0:
        raise ValueError("there is no document to be found")
    if k < 1 or beams < 1:
        raise ValueError(f"k and beams are at least 1, not {k} and {beams}")
    if model.training:
        raise ValueError("dropout is on; call model.eval() before a search")
