"""Constrained beam search: the most likely n-grams that the documents hold, and how likely each is."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from lmindexer.methods.seal.index import NgramIndex
from lmindexer.methods.seal.writer import NgramWriter
from lmindexer.model.backbone import Memory


@dataclass(frozen=True)
class Ngrams:
    """R n-grams that were generated for one question."""

    tokens: np.ndarray  # (R, S) numbers of tokens, END behind the shorter ones
    low: np.ndarray  # (R,) the suffixes low ... high - 1 of the index begin with it
    high: np.ndarray  # (R,)
    log_p: np.ndarray  # (R,) float64: log P(n-gram | question), in nats
    whole: np.ndarray  # (R,) bool: it has all its tokens, or no document has more behind it

    def __len__(self) -> int:
        return len(self.low)

    @property
    def length(self) -> np.ndarray:
        """(R,) how many tokens each has."""
        return np.count_nonzero(self.tokens, axis=1)

    def at(self, which: np.ndarray | slice) -> "Ngrams":
        """Some of them."""
        return Ngrams(self.tokens[which], self.low[which], self.high[which], self.log_p[which], self.whole[which])

    @classmethod
    def joined(cls, parts: "list[Ngrams]") -> "Ngrams":
        """The n-grams of several steps."""
        columns = zip(*((p.tokens, p.low, p.high, p.log_p, p.whole) for p in parts), strict=True)
        return cls(*map(np.concatenate, columns))


@torch.no_grad()
def generate(
    writer: NgramWriter, index: NgramIndex, memory: Memory, length: int, beams: int, unigrams: int
) -> list[Ngrams]:
    """N-grams of at most `length` tokens for each of B questions: all that were in a beam, and more single tokens.

    Of single tokens the `unigrams` most likely ones are there, whose probabilities are known after the first step.
    Each n-gram occurs in the documents. Of equally likely ones the first in the order of their token ids is kept.
    """
    B, device = len(memory.states), memory.states.device
    token_ids = torch.from_numpy(index.token_ids).to(device)
    vectors, bias = writer.token_vectors(token_ids)
    read = writer.reader(memory)

    def next_log_p(prefix: np.ndarray) -> np.ndarray:
        """log P of every token behind prefixes (B * V, t) of token numbers: (B * V, C)."""
        states = read(token_ids[torch.from_numpy(prefix - 1).to(device)])
        logits = writer.directions(states).float() @ vectors.float().T + bias
        return logits.log_softmax(1).cpu().numpy()

    first = next_log_p(np.empty((B, 0), np.int64))
    singles = [_single_tokens(index, log_p, length, max(beams, unigrams)) for log_p in first]
    kept = [ngrams.at(slice(beams)) for ngrams in singles]
    found = [[ngrams.at(slice(beams, None))] for ngrams in singles]
    for step in range(1, length if len(token_ids) else 1):
        prefix = np.ones((B, beams, step), np.int64)  # any token where a question has fewer beams
        for padded, ngrams in zip(prefix, kept, strict=True):
            padded[: len(ngrams)] = ngrams.tokens[:, :step]
        log_p = next_log_p(prefix.reshape(B * beams, step)).reshape(B, beams, -1)
        for n, ngrams in enumerate(kept):
            longer, ends = _longer(index, ngrams, log_p[n], step, beams)
            found[n].append(replace(ngrams, whole=ends))
            kept[n] = longer
    return [Ngrams.joined([*parts, ngrams]) for parts, ngrams in zip(found, kept, strict=True)]


def _single_tokens(index: NgramIndex, log_p: np.ndarray, length: int, most: int) -> Ngrams:
    """The most likely tokens, of which n-grams of `length` begin; `log_p` (C,)."""
    best = np.argsort(-log_p, kind="stable")[:most]
    tokens = np.zeros((len(best), length), np.int64)
    tokens[:, 0] = best + 1
    whole = np.full(len(best), length == 1)
    return Ngrams(tokens, index.bounds[best], index.bounds[best + 1], log_p[best].astype(np.float64), whole)


def _longer(index: NgramIndex, ngrams: Ngrams, log_p: np.ndarray, step: int, beams: int) -> tuple[Ngrams, np.ndarray]:
    """The best of all that go on from n-grams of `step` tokens, and which of these nothing goes on from (R,).

    `log_p` (beams, C) is that of the next token.
    """
    more = index.after(ngrams.low, ngrams.high, step)
    scores = ngrams.log_p[more.prefix] + log_p[more.prefix, more.token - 1]
    best = np.lexsort([more.low, -scores])[:beams]
    tokens = ngrams.tokens[more.prefix[best]]
    tokens[:, step] = more.token[best]
    whole = np.full(len(best), step + 1 == tokens.shape[1])
    ends = np.bincount(more.prefix, minlength=len(ngrams)) == 0
    return Ngrams(tokens, more.low[best], more.high[best], scores[best], whole), ends
