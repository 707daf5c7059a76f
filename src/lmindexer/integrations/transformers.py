"""Generate IDs that exist with any model of transformers whose tokenizer has their tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from lmindexer.errors import InputError
from lmindexer.ids.trie import Level
from lmindexer.integrations.tokens import TRIE, load_trie, token_names


class ValidIds(LogitsProcessor):
    """Lets a model go on only to IDs that exist: after the prompt come the tokens of one whole ID, then the end.

    Give it to `generate(..., logits_processor=LogitsProcessorList([ValidIds(folder, tokenizer, prompt)]))`. Every step
    is a few gathers over the trie's arrays for all beams together.
    """

    def __init__(self, folder: str | Path, tokenizer: Any, prompt: int, end: int | None = None) -> None:
        """`folder` is what `lmindexer export --format tokens` wrote.

        `prompt` is how many tokens stand before the ID: the width of `input_ids` for a causal model (padded on the
        left), 1 for a seq2seq one. `end` is by default the tokenizer's token for the end. Raises InputError where the
        tokenizer lacks a token.
        """
        sizes, levels = load_trie(Path(folder) / TRIE)
        if end is None and tokenizer.eos_token_id is None:
            raise InputError("the tokenizer has no token for the end of a text; give end=, the token after an ID")
        self.prompt, self.end = prompt, int(tokenizer.eos_token_id if end is None else end)
        vocabulary = tokenizer.get_vocab()
        self._tokens = [_token_ids(names, vocabulary) for names in token_names(sizes)]
        self._levels = list(levels)
        self._sizes = sizes
        widest = 1 + max(vocabulary.values())
        self._codes = [_codes_of(tokens, widest) for tokens in self._tokens]
        self._keys = [_keys(level, size) for level, size in zip(levels, sizes, strict=True)]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores (B, V) of the next tokens, -inf for all that lead to no ID."""
        self._move(scores.device)
        written = input_ids[:, self.prompt :]
        nodes = torch.zeros(len(input_ids), dtype=torch.long, device=scores.device)  # -1: off the tree
        for level in range(min(written.shape[1], len(self._sizes))):
            nodes = self._below(nodes, written[:, level], level)
        allowed = torch.zeros_like(scores, dtype=torch.bool)
        if written.shape[1] < len(self._sizes):
            tokens = self._children(nodes, written.shape[1], spare=scores.shape[1])
            spared = torch.zeros(len(scores), scores.shape[1] + 1, dtype=torch.bool, device=scores.device)
            allowed = spared.scatter_(1, tokens, True)[:, :-1]
        ended = ~allowed.any(1)  # a whole ID, or a beam that generate() has given up
        allowed[:, self.end] |= ended
        return scores.masked_fill(~allowed, -torch.inf)

    def _below(self, nodes: Tensor, tokens: Tensor, level: int) -> Tensor:
        """The children of nodes (B,) that some tokens lead to; -1 where there is none."""
        codes = self._codes[level][tokens.clamp(max=len(self._codes[level]) - 1)]
        key = nodes * self._sizes[level] + codes
        keys = self._keys[level]
        found = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
        return found.where((keys[found] == key) & (nodes >= 0) & (codes >= 0), -1)

    def _children(self, nodes: Tensor, level: int, spare: int) -> Tensor:
        """The tokens that may follow nodes (B,), in the slots of the widest one; `spare` in empty slots: (B, W)."""
        below = self._levels[level]
        above = nodes.clamp(min=0)
        places = below.start[above].long()[:, None] + torch.arange(below.widest, device=nodes.device)
        exists = (places < below.start[above + 1][:, None]) & (nodes >= 0)[:, None]
        codes = below.code[places.where(exists, 0)].long()
        return self._tokens[level][codes].where(exists, spare)

    def _move(self, device: torch.device) -> None:
        """All arrays to where the scores are, once."""
        if self._tokens[0].device == device:
            return
        self._tokens, self._codes, self._keys = (
            [array.to(device) for array in arrays] for arrays in (self._tokens, self._codes, self._keys)
        )
        self._levels = [Level(level.start.to(device), level.code.to(device), level.widest) for level in self._levels]


def _token_ids(names: Sequence[str], vocabulary: dict[str, int]) -> Tensor:
    """The numbers of tokens. Raises InputError where the tokenizer lacks one."""
    missing = [name for name in names if name not in vocabulary]
    if missing:
        raise InputError(
            f"the tokenizer has no token {missing[0]}; add those of tokens.json with tokenizer.add_tokens, and resize "
            "the model's embeddings"
        )
    return torch.tensor([vocabulary[name] for name in names])


def _codes_of(tokens: Tensor, widest: int) -> Tensor:
    """The code of each token of the vocabulary; -1 of all that are none of `tokens`."""
    codes = torch.full((widest,), -1, dtype=torch.long)
    codes[tokens] = torch.arange(len(tokens))
    return codes


def _keys(level: Level, size: int) -> Tensor:
    """Of each node of a level its parent times `size` plus its code: ascending, so that it can be looked up."""
    children = level.start.long().diff()
    parents = torch.repeat_interleave(torch.arange(len(children)), children)
    return parents * size + level.code.long()
