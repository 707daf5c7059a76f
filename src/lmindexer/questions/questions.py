"""What is asked: texts, or histories of what a user took, and to each the documents that answer it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lmindexer.evaluation.metrics import judge, parse_metric

Question = str | Sequence[str]  # a text, or a history: ids of documents, oldest first
TEXT, HISTORY = "text", "history"  # the kinds of questions


@dataclass(frozen=True, repr=False)
class Questions:
    """Q questions of one kind, and the documents relevant to each."""

    asked: tuple[Question, ...]  # Q
    relevant: tuple[Mapping[str, float], ...]  # Q: document id -> grade, above 0
    query_ids: tuple[str, ...] = ()  # Q: of histories the users; 0, 1, ... where none are given
    notes: tuple[str, ...] = ()  # what was left out, joined or missing
    joined_ids: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # query id -> others of the same text
    unseen: tuple[int, ...] = ()  # places of histories whose answer no user took in training, ascending

    def __post_init__(self) -> None:
        if not self.query_ids:
            object.__setattr__(self, "query_ids", tuple(map(str, range(len(self.asked)))))

    def __len__(self) -> int:
        return len(self.asked)

    def __repr__(self) -> str:
        return f"Questions({len(self):,} {'queries' if self.kind == TEXT else 'histories'})"

    @property
    def kind(self) -> str:
        """TEXT or HISTORY; of no question TEXT."""
        return TEXT if not self.asked or isinstance(self.asked[0], str) else HISTORY

    def select(self, places: Iterable[int]) -> "Questions":
        """Some of them, in this order, without notes."""
        chosen = list(places)
        return Questions(
            tuple(self.asked[n] for n in chosen),
            tuple(self.relevant[n] for n in chosen),
            tuple(self.query_ids[n] for n in chosen),
        )

    def sample(self, most: int, seed: int) -> "Questions":
        """At most so many of them, drawn at random, in their order."""
        return self.select(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]).tolist())

    def joined(self, others: "Questions") -> "Questions":
        """These, then the others; numbered anew."""
        return Questions(self.asked + others.asked, self.relevant + others.relevant)

    def judged(self, ranked: Sequence[Sequence[str]], metric: str) -> float:
        """The mean of a metric such as "recall@10" for these lists of document ids; 0 where there is no question."""
        if not len(self):
            return 0.0
        judged = judge(self.query_ids, list(ranked), list(self.relevant), [parse_metric(metric)], resamples=0)
        return next(iter(judged.means.values()))
