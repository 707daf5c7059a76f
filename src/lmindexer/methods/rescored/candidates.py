"""The documents that are scored for a question, what each part says of them, and their order by the sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lmindexer.methods.weights import Scored, summed

IDS, DENSE, WORDS = PARTS = ("ids", "dense", "words")  # log P of the ID; cosine; BM25
UNITS = 50.0, 2.0  # of cosines and of BM25: so a weight of 1 counts about as log P does
NOWHERE = 2**40  # the place of a document in a list that does not have it
DECIMALS = 5  # of a score: what rounding in batches of other shapes leaves alone


@dataclass(frozen=True)
class Sum:
    """A document scores `ids` * log(P(its ID) + `least`) + `dense` * 50 cosine + `words` * 2 BM25.

    `least` keeps an ID that the model rules out from outweighing all else.
    """

    ids: float = 1.0
    dense: float = 0.5
    words: float = 0.5
    least: float = 0.0

    @classmethod
    def of(cls, weights: Mapping[str, Any], least: float = 0.0) -> "Sum":
        """Of weights by PARTS."""
        return cls(float(weights[IDS]), float(weights[DENSE]), float(weights[WORDS]), least)

    @property
    def weights(self) -> tuple[float, ...]:
        """In the order of PARTS."""
        return self.ids, self.dense, self.words

    @property
    def formula(self) -> str:
        """What a score is, for people."""
        log_p = f"log(P + {self.least:g})" if self.least else "log P"
        of_parts = {log_p: self.ids, "cosine": self.dense * UNITS[0], "BM25": self.words * UNITS[1]}
        return " + ".join(name if weight == 1 else f"{weight:g} {name}" for name, weight in of_parts.items() if weight)


@dataclass(frozen=True, eq=False)
class Candidates(Scored):
    """C documents that are scored for one question by PARTS (3, C), and where they stand in the lists of each."""

    places: np.ndarray = field(kw_only=True)  # (3, C), from 0; or NOWHERE

    def raised(self, least: float) -> "Candidates":
        """The same with log(P + `least`) in the place of log P."""
        log_p = np.logaddexp(self.scores[0], np.log(least)) if least else self.scores[0]
        return Candidates(self.rows, np.stack([log_p, *self.scores[1:]]), places=self.places)

    def ranked(self, weighted: Sum, ranks: np.ndarray, depths: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Rows and scores (C,), best first; of equal scores the lower of `ranks` (N,).

        What is among the first `depths[0]` of any list comes first, then what `depths[1]` add, and so on; a later one
        scores no more than what stands before it.
        """
        scores = summed(self.raised(weighted.least).scores, weighted.weights).round(DECIMALS)
        turn = np.searchsorted(np.asarray(depths), self.places.min(0), side="right")
        order = np.lexsort([ranks[self.rows], -scores, turn])
        return self.rows[order], np.minimum.accumulate(scores[order])


def candidates_of(lists: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The rows (C,), ascending, that are in any of L lists, and where each stands in these, (L, C)."""
    rows = np.unique(np.concatenate(lists))
    places = np.full((len(lists), len(rows)), NOWHERE, dtype=np.int64)
    for n, found in enumerate(lists):
        places[n, np.searchsorted(rows, found)] = np.arange(len(found))
    return rows, places
