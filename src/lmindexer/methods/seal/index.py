"""An index of all n-grams of the documents: what may follow a prefix and how often, and which documents hold it."""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.extras import optional
from lmindexer.model.backbone import Backbone

END = 0  # stands behind every document, and in place of special tokens; no n-gram holds it


@dataclass(frozen=True)
class Continuations:
    """Prefixes, one token longer: R of them, those of each prefix in the order of their tokens."""

    prefix: np.ndarray  # (R,) which of the prefixes each continues
    token: np.ndarray  # (R,) by what
    low: np.ndarray  # (R,) the suffixes that begin with the longer one are low ... high - 1
    high: np.ndarray  # (R,)


@dataclass(frozen=True)
class NgramIndex:
    """A suffix array over the tokens of all documents, one after another.

    Tokens are numbered 1 to C in the order of their ids, so that only tokens that occur have a number. The suffixes
    that begin with an n-gram stand side by side in the array: an n-gram is the interval `low` to `high` of them, and
    `high - low` is how often it occurs.
    """

    text: np.ndarray  # (n,) int32: numbers of tokens, END behind each document
    suffixes: np.ndarray  # (n,) int32: where each suffix begins, in the order of the suffixes
    starts: np.ndarray  # (N + 1,) int64: document d is text[starts[d]:starts[d + 1]], with its END
    token_ids: np.ndarray  # (C,) int64, ascending: the id that the tokenizer knows number c + 1 by

    @classmethod
    def build(cls, tokens: Tokens, special: np.ndarray) -> "NgramIndex":
        """Of all tokens of the documents; `special` (V,) bool are tokens that no n-gram may hold.

        Raises InputError where pydivsufsort is not installed.
        """
        divsufsort = optional("pydivsufsort", "SEAL", "seal").divsufsort
        lengths, N = np.diff(tokens.offsets), len(tokens)
        ids = np.asarray(tokens.ids)
        plain = ~special[ids]
        token_ids = np.unique(ids[plain]).astype(np.int64)
        numbers = np.where(plain, np.searchsorted(token_ids, ids) + 1, END)
        text = np.full(len(ids) + N, END, np.int32)
        text[np.arange(len(ids)) + np.repeat(np.arange(N), lengths)] = numbers
        suffixes = np.asarray(divsufsort(text), np.int32)
        return cls(text, suffixes, tokens.offsets + np.arange(N + 1), token_ids)

    @classmethod
    def of(cls, corpus: Corpus, backbone: Backbone) -> "NgramIndex":
        """Of documents as the backbone's tokenizer cuts them, whole, however long they are."""
        return cls.build(Tokens.build(corpus, backbone.texts.whole), backbone.special.cpu().numpy())

    @cached_property
    def total(self) -> int:
        """How many tokens all documents have."""
        return int(np.count_nonzero(self.text))

    @cached_property
    def bounds(self) -> np.ndarray:
        """(C + 1,) int64: token c + 1 begins the suffixes bounds[c] ... bounds[c + 1] - 1."""
        counts = np.bincount(self.text, minlength=len(self.token_ids) + 1)
        return np.cumsum(counts)

    def numbers(self, ids: list[int]) -> np.ndarray:
        """The numbers of those tokens of a text that the documents hold, in their order."""
        wanted = np.asarray(ids, np.int64)
        places = np.searchsorted(self.token_ids, wanted)
        held = np.append(self.token_ids, -1)[places] == wanted
        return places[held] + 1

    def after(self, low: np.ndarray, high: np.ndarray, length: int) -> Continuations:
        """What follows each of R prefixes of `length` tokens, one or more, that are suffixes low ... high - 1."""
        sizes = high - low
        prefix = np.repeat(np.arange(len(low)), sizes)
        places = np.arange(sizes.sum()) + np.repeat(low - (np.cumsum(sizes) - sizes), sizes)
        tokens = self.text[self.suffixes[places] + length]
        new = np.ones(len(tokens), bool)
        new[1:] = (tokens[1:] != tokens[:-1]) | (prefix[1:] != prefix[:-1])
        first = np.flatnonzero(new)
        count = np.diff(np.append(first, len(tokens)))
        first, count = first[tokens[first] != END], count[tokens[first] != END]
        return Continuations(prefix[first], tokens[first], places[first], places[first] + count)

    def interval(self, ngram: np.ndarray) -> tuple[int, int]:
        """The suffixes low ... high - 1 that begin with an n-gram of token numbers; low = high where none does."""
        low, high = 0, len(self.suffixes)
        for length, token in enumerate(ngram.tolist()):

            def at(place: int, length: int = length) -> int:
                return int(self.text[self.suffixes[place] + length])

            low, high = (bisect_left(range(high), wanted, low, high, key=at) for wanted in (token, token + 1))
        return low, high

    def places(self, low: int, high: int) -> np.ndarray:
        """Where in the text the suffixes low ... high - 1 begin, ascending."""
        return np.sort(self.suffixes[low:high])

    def documents_at(self, places: np.ndarray) -> np.ndarray:
        """The documents (rows) that stand at these places of the text."""
        return np.searchsorted(self.starts, places, side="right") - 1

    def spans(self, places: np.ndarray, length: int) -> np.ndarray:
        """The n-grams (P, length) of token numbers at these places; END behind one that a document's end cuts off."""
        found = self.text[np.minimum(places[:, None] + np.arange(length), len(self.text) - 1)]
        return np.where(np.logical_and.accumulate(found != END, 1), found, END)
