"""Find documents by generating their IDs (section 3.3): the search never leaves the IDs that exist."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_bf16
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.ids.trie import Trie
from lmindexer.learn.memories import Memories
from lmindexer.model.beam import beam_search, exact_search
from lmindexer.model.semantic_indexer import SemanticIndexer

BATCH = 16  # queries encoded and searched together


@dataclass(frozen=True)
class Hit:
    """A document found, with log P of its path given the query, in nats."""

    doc_id: str
    score: float


class GenerativeRetriever:
    """Searches the documents of `ids` with `model`, the semantic indexer that gave them their codes.

    A query is read as if it were a document. Documents that share all learned codes share a score and come in
    the order in which the table holds them.
    """

    def __init__(
        self, model: SemanticIndexer, ids: IdTable, *, max_tokens: int, precision: str = "auto", beams: int = 20
    ) -> None:
        self.model, self.ids, self.max_tokens, self.beams = model.eval(), ids, max_tokens, beams
        self.device = next(model.parameters()).device
        self._bf16 = choose_bf16(precision, self.device)
        self._whole = Trie.of(ids.codes, ids.sizes).to(self.device)

    def search(
        self,
        texts: Sequence[str],
        k: int = 10,
        *,
        exact: bool = False,
        renormalise: bool = False,
        only: Iterable[str] | None = None,
    ) -> list[list[Hit]]:
        """The k best documents of each text, best first; fewer only where fewer exist.

        `exact` gives the true best by log P, else a beam search does; `renormalise` scores over the codes that
        exist below a prefix instead of over all. `only` restricts the search to these documents, exactly: it is
        made in the part of the ID tree that holds them, not by filtering what was found.

        Raises InputError for an empty text, a k below 1, and an `only` that names no or an unknown document.
        """
        if k < 1:
            raise InputError(f"k is how many documents to find; it must be at least 1, not {k}")
        for n, text in enumerate(texts, 1):
            if not text.strip():
                raise InputError(f"query {n} is empty; give it at least one word")
        if not texts:
            return []
        trie = self._whole if only is None else self._whole.subset(self._rows(only)).to(self.device)
        backbone = self.model.backbone
        memories = Memories(backbone, Tokens.of(backbone.tokenize(texts, self.max_tokens)), self._bf16)
        hits: list[list[Hit]] = [[] for _ in texts]
        find = exact_search if exact else beam_search
        for rows in memories.batches(BATCH):
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
                memory = memories.memory(rows)
            found = find(self.model, memory, trie, min(k, len(trie)), self.beams, renormalise=renormalise)
            for row, documents, scores in zip(rows, found.rows.tolist(), found.scores.tolist(), strict=True):
                hits[row] = [Hit(self.ids.doc_ids[d], s) for d, s in zip(documents, scores, strict=True) if d >= 0]
        return hits

    def _rows(self, only: Iterable[str]) -> np.ndarray:
        rows = []
        for doc_id in only:
            if doc_id not in self.ids:
                raise InputError(f"{doc_id!r} is none of the {len(self.ids):,} documents; leave it out of the search")
            rows.append(self.ids.row_of[doc_id])
        if not rows:
            raise InputError("the search is restricted to no document at all; name at least one")
        return np.unique(rows)
