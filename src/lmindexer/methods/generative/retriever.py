"""Find documents by generating their IDs (section 3.3): the search never leaves the IDs that exist."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lmindexer.corpus.tokens import Tokens
from lmindexer.devices import choose_bf16
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.ids.ties import tie_ranks
from lmindexer.ids.trie import Trie
from lmindexer.learn.memories import Memories
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.model.backbone import Memory
from lmindexer.model.beam import Beams, Found, beam_search, exact_search, score_documents, watch_beams
from lmindexer.model.paths import path_log_p
from lmindexer.model.semantic_indexer import SemanticIndexer
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.values import DocId

BATCH = 16  # queries encoded and searched together
HISTORIES = 64  # of vectors, read and searched together
ON_GPU = 256  # of either: a GPU takes about as long for one as for so many
MOST_NOVELTY = 100  # nats: beyond it single precision would round log P away


class Asked(Protocol):
    """Memories of what is asked: `Memories` of texts, `HistoryMemories`."""

    lengths: np.ndarray  # how much is read of each

    def __len__(self) -> int: ...

    def memory(self, rows: np.ndarray) -> Memory: ...

    def batches(self, batch_size: int) -> Iterator[np.ndarray]: ...


class GenerativeRetriever(Retriever):
    """Searches the documents of `ids` with `model`, the semantic indexer that gave their codes, or one fine-tuned.

    Without fine-tuning, a query is read as if it were a document. Where the model has not learned the suffix,
    documents that share all learned codes share a score.
    Scores are log P of a document's path given the query, in nats, as `model.beam` says; new documents are favoured.
    """

    reads: tuple[str, ...] = (TEXT,)

    def __init__(
        self,
        model: SemanticIndexer,
        ids: IdTable,
        *,
        max_tokens: int,
        precision: str = "auto",
        beams: int = 20,
        exact: bool = False,
        renormalise: bool = False,
        new: Sequence[int] = (),
        novelty: float = 0.0,
    ) -> None:
        """`exact` finds the true best by score, else a search with so many `beams` does.

        `renormalise` scores over the codes that exist below a prefix instead of over all. `new` are the rows of
        documents that came after training: a model prefers those it was trained to give, which `novelty` (nats)
        makes up for, as calibrated stacking does (Chao et al. 2016), within the bounds that `model.steps` names.
        """
        self.model, self.ids, self.doc_ids, self.max_tokens = model.eval(), ids, ids.doc_ids, max_tokens
        self.settings: dict[str, Any] = {  # as far as they change the answer
            "beams": None if exact else beams,
            "exact": exact,
            "renormalise": renormalise,
            "novelty": novelty if new else 0.0,
        }
        self.device = next(model.parameters()).device
        self._bf16 = choose_bf16(precision, self.device)
        self.ranks = tie_ranks(ids.doc_ids)
        trie = Trie.of(known_paths(ids, model.sizes), model.sizes, self.ranks)
        self._whole = trie.to(self.device)
        if not abs(novelty) <= MOST_NOVELTY:  # nan neither
            raise InputError(f"novelty is nats such as 2, from -{MOST_NOVELTY} to {MOST_NOVELTY}, not {novelty:g}")
        if novelty and 0 < len(new) < len(ids):
            self._whole = self._whole.with_new(new, novelty)
        self.new, self.beams, self._renormalise = frozenset(new), beams, renormalise
        self._find = partial(exact_search if exact else beam_search, beams=beams, renormalise=renormalise)

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        """Restricted to `rows`, it walks the part of the ID tree that holds these documents."""
        return self.find(self.read(questions, kind), k, rows)

    def read(self, questions: Sequence[Any], kind: str) -> Asked:
        """The questions as the decoder reads them."""
        backbone = self.model.backbone
        return Memories(backbone, Tokens.of(backbone.tokenize(questions, self.max_tokens)), self._bf16)

    def find(self, asked: Asked, k: int, only: np.ndarray | None = None) -> list[list[Hit]]:
        """A list of hits for each of `asked`, whatever the decoder reads there; `only` are rows, ascending."""
        trie = self.trie(only)
        hits: list[list[Hit]] = [[] for _ in range(len(asked))]
        for rows, memory in self.batches(asked):
            found = self.best(memory, trie, min(k, len(trie)))
            for row, documents, scores in zip(rows, found.rows.tolist(), found.scores.tolist(), strict=True):
                hits[row] = [Hit(self.ids.doc_ids[d], s) for d, s in zip(documents, scores, strict=True) if d >= 0]
        return hits

    def trie(self, only: np.ndarray | None = None) -> Trie:
        """The IDs of all documents, or of those of the rows `only`, ascending."""
        return self._whole if only is None else self._whole.subset(only).to(self.device)

    def batches(self, asked: Asked, most: int = ON_GPU) -> Iterator[tuple[np.ndarray, Memory]]:
        """Some of `asked` after others, at most `most` at once, by their places (b,), as the decoder reads them.

        In any order.
        """
        together = BATCH if isinstance(asked, Memories) else HISTORIES
        for rows in asked.batches(min(together if self.device.type == "cpu" else ON_GPU, most)):
            with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
                memory = asked.memory(rows)
            yield rows, replace(memory, states=memory.states.float(), weight=memory.weight.float())

    def best(self, memory: Memory, trie: Trie, k: int) -> Found:
        """The k best documents of a trie."""
        return self._find(self.model, memory, trie, k)

    def scores(self, memory: Memory, trie: Trie, rows: Tensor) -> Tensor:
        """log P, in nats, of documents `rows` (b, C) of a trie: as `best` would score them."""
        return score_documents(self.model, memory, trie, rows.to(self.device), renormalise=self._renormalise)

    def score_parts(
        self, question: Any, hits: Sequence[Hit], *, only: Iterable[DocId] | None = None
    ) -> list[dict[str, float]]:
        """As `ByParts.score_parts`: log P of the code at each position, and what a document that came later gains.

        A document that only a wider round found scores less than their sum, as `model.beam` says.
        """
        rows = np.array([self.ids.row_of[hit.doc_id] for hit in hits], dtype=np.int64)
        log_p = self.path_log_p(self.memory_of(question), rows).tolist()
        names = [f"c{position + 1}" for position in range(len(self.ids.sizes))] + ["suffix"]
        parts = [dict(zip(names, of_path, strict=False)) for of_path in log_p]
        for part, hit, row in zip(parts, hits, rows.tolist(), strict=True):
            if row in self.new:
                part["came later"] = hit.score - sum(part.values())
        return parts

    def path_log_p(self, memory: Memory, rows: np.ndarray) -> Tensor:
        """log P of each code of the paths of documents `rows` (M,), given the memory of one question: (M, T)."""
        paths = known_paths(self.ids, self.model.sizes)[rows]
        trie = self._whole if self._renormalise else None
        documents = torch.from_numpy(rows).to(self.device)
        return path_log_p(self.model, memory, torch.from_numpy(paths).long().to(self.device), documents, trie)

    def watch(self, memory: Memory, k: int) -> list[tuple[Beams, Beams]]:
        """What the first round of a search for k documents looks at and keeps, as `watch_beams` says."""
        beams, k = self.beams, min(k, len(self._whole))
        return watch_beams(self.model, memory, self._whole, k, beams, renormalise=self._renormalise)

    def nodes_of(self, row: int) -> list[int]:
        """The node of the ID tree that a document is below, on each of its levels."""
        return [int(node) for node in self._whole.nodes_above(torch.tensor(row, device=self.device))]

    def memory_of(self, question: Any) -> Memory:
        """What the decoder reads of one question."""
        kind = TEXT if isinstance(question, str) else HISTORY
        ((_, memory),) = self.batches(self.read([question], kind))
        return memory

    @property
    def tokens_read(self) -> int:
        """How many tokens of a query the model reads."""
        return min(self.max_tokens, self.model.backbone.longest)

    def tokens_of(self, text: str) -> int:
        """How many tokens a text has, read or not."""
        return self.model.backbone.count_tokens(text)


def known_paths(ids: IdTable, sizes: tuple[int, ...]) -> np.ndarray:
    """The codes that a model of these `sizes` can tell: (N, len(sizes)), learned ones and perhaps the suffix.

    A document that came later may have a suffix beyond those the model learned; it shares the last of them.
    """
    codes = ids.codes if len(sizes) == len(ids.sizes) else ids.paths
    return np.minimum(codes, np.array(sizes) - 1)
