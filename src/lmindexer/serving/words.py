"""The words that tell what is below each node of the ID tree, kept while documents come and go."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.explore.telling import WordCounts, words_of_all
from lmindexer.ids.table import IdTable

Path = tuple[int, ...]
CHANGED = 0.1  # share of the documents that may come or go before words are counted anew


@dataclass(frozen=True)
class PathWords:
    """By path, the words of its node, strongest first."""

    of_path: Mapping[Path, tuple[str, ...]]
    counted: frozenset[str]  # the documents

    @classmethod
    def of(cls, corpus: Corpus, ids: IdTable, before: "PathWords | None" = None) -> "PathWords":
        """Those of the documents; those of `before` where few documents have changed since."""
        documents = frozenset(corpus.doc_ids)
        if before is not None and len(documents ^ before.counted) <= CHANGED * len(before.counted):
            return before
        by_position = words_of_all(WordCounts.of(corpus.texts()), ids.codes)
        of_path = {
            path: tuple(words)
            for t, of_nodes in enumerate(by_position)
            for path, words in zip(paths_of_nodes(ids, t), of_nodes, strict=True)
            if words
        }
        return cls(of_path, documents)

    def by_position(self, ids: IdTable) -> list[list[list[str]]]:
        """As `words_of_all`: by position, then by node of `ids` in the order of the paths."""
        return [
            [list(self.of_path.get(path, ())) for path in paths_of_nodes(ids, t)] for t in range(ids.codes.shape[1])
        ]


def paths_of_nodes(ids: IdTable, position: int) -> list[Path]:
    """The paths of the nodes at a position, from 0, in their order."""
    return [tuple(path) for path in np.unique(ids.codes[:, : position + 1], axis=0).tolist()]
