"""Ask by generated IDs, cosines and words at once: the best that any of them finds, in the order of the sum of all."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from lmindexer.ids.trie import Trie
from lmindexer.indexers.store import load_documents
from lmindexer.methods.bm25 import Bm25Retriever
from lmindexer.methods.dense import DenseRetriever, kept_as
from lmindexer.methods.generative.dense_side import KEPT, TaughtVectors
from lmindexer.methods.generative.finetuned import FinetunedRetriever
from lmindexer.methods.generative.finetuned import open_run as open_generative
from lmindexer.methods.generative.retriever import GenerativeRetriever
from lmindexer.methods.rescored.candidates import DENSE, PARTS, UNITS, WORDS, Candidates, Sum, candidates_of
from lmindexer.methods.retriever import Hit, How, Retriever, best_rows, rows_of
from lmindexer.methods.taught import rescoring_of
from lmindexer.methods.weights import SUM, weights_for
from lmindexer.model.backbone import Memory
from lmindexer.model.beam import ROUNDING, Found
from lmindexer.questions.questions import TEXT, Question
from lmindexer.questions.sequences import Sequences
from lmindexer.runs import Run
from lmindexer.values import DocId

DEPTH = 100  # so much of every list is scored, and so many prefixes are kept, whatever k is
SCORES = 2**25  # of all documents for the questions of a batch, so that memory stays bounded
Scorer = Callable[[Sequence[str], Memory], np.ndarray]  # texts, as they were read -> scores of all documents (b, N)


def open_run(
    run: Path, kind: str, sequences: Sequences | None, *, score: str = SUM, **how: Unpack[How]
) -> "RescoredRetriever":
    """As `Method.open`: with the weights that fine-tuning picked on dev, else `Sum`'s; a part of weight 0 is not read.

    `score` is one of PARTS, which then counts alone, or SUM. Raises InputError for another, and as generated IDs do,
    and BM25.
    """
    picked = rescoring_of(run)
    weighted = Sum() if picked is None else Sum.of(picked["weights"], picked["least"])
    if score != SUM:
        weighted = Sum(*weights_for(score, PARTS, None))
    how.setdefault("beams", DEPTH)
    generated, folder = open_generative(run, kind, None, **how), Run.open(run)
    counting = [part for part, weight in zip(PARTS, weighted.weights, strict=True) if weight]
    return RescoredRetriever(generated, scorers_of(folder, generated, counting), weighted)


def scorers_of(run: Run, generated: GenerativeRetriever, parts: Collection[str]) -> dict[str, Scorer]:
    """What scores all documents of a run, by each of these PARTS but IDs.

    The vectors are those of the encoder that was taught beside the IDs, where it was, else of the published one.
    """
    scorers: dict[str, Scorer] = {}
    finetuned = generated.finetuned if isinstance(generated, FinetunedRetriever) else None
    corpus = load_documents(run) if finetuned is None else finetuned.corpus
    if DENSE in parts:
        if finetuned is not None and finetuned.config.dense_loss:
            taught = TaughtVectors(finetuned, run.path / KEPT)
            scorers[DENSE] = lambda texts, memory: taught.scores(memory)
        else:
            config, encoder = run.config, "bundled"
            dense = DenseRetriever(corpus, encoder, config.max_tokens, run.path / kept_as(encoder), config.long)
            scorers[DENSE] = lambda texts, memory: dense.scores(texts)
    if WORDS in parts:
        words = Bm25Retriever(corpus)
        scorers[WORDS] = lambda texts, memory: words.scores(texts)
    return scorers


class RescoredRetriever(Retriever):
    """The best documents by IDs, by cosines and by words, `DEPTH` of each, in the order of the weighted sum.

    log P of a document that no beam found is what the decoder gives its ID. Where k is above DEPTH, what lists of
    twice the depth add comes behind, and so on. With an exact search of IDs the answer is the true best by the sum.
    """

    reads = (TEXT,)
    parts = PARTS

    def __init__(self, generated: GenerativeRetriever, scorers: Mapping[str, Scorer], weighted: Sum) -> None:
        """`scorers` of PARTS but IDs; one that is missing counts nothing."""
        self.generated, self.scorers, self.weighted = generated, scorers, weighted
        self.doc_ids, self._ranks = generated.doc_ids, generated.ranks
        self.formula = weighted.formula
        self.settings: dict[str, Any] = generated.settings | {"score": self.formula}

    def _answer(self, questions: list[str], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        depths = [DEPTH]
        while depths[-1] < k:
            depths.append(2 * depths[-1])
        hits: list[list[Hit]] = [[] for _ in questions]
        for place, found in self._candidates(questions, depths[-1], rows, k):
            turns = depths[:0] if self._exact else depths[:-1]
            documents, scores = found.ranked(self.weighted, self._ranks, turns)
            pairs = zip(documents[:k].tolist(), scores[:k].tolist(), strict=True)
            hits[place] = [Hit(self.doc_ids[row], score) for row, score in pairs]
        return hits

    def score_parts(
        self, question: Any, hits: Sequence[Hit], *, only: Iterable[DocId] | None = None
    ) -> list[dict[str, float]]:
        """As `ByParts.score_parts`: by IDs, cosine and words; parts that count nothing are left out.

        A document that only a longer list found scores less than their sum, as `Candidates.ranked` says.
        """
        rows = np.array([self.generated.ids.row_of[hit.doc_id] for hit in hits], np.int64)
        allowed = None if only is None else rows_of(only, self.doc_ids)
        ((_, memory),) = self.generated.batches(self.generated.read([question], TEXT))
        of_all = self._scores_of_all([question], memory)
        (found,) = self._scored(memory, self.generated.trie(allowed), [[rows, rows[:0], rows[:0]]], of_all)
        values = np.array(self.weighted.weights)[:, None] * found.raised(self.weighted.least).scores  # (3, C)
        place = {row: column for column, row in enumerate(found.rows.tolist())}
        counting = [n for n, weight in enumerate(self.weighted.weights) if weight]
        return [{PARTS[n]: float(values[n, place[row]]) for n in counting} for row in rows.tolist()]

    def scored(self, questions: Sequence[Question], kind: str, k: int) -> list[Candidates]:
        """As `weights.Summing.scored`."""
        found = dict(self._candidates([str(text) for text in questions], max(k, DEPTH)))
        return [found[place] for place in range(len(questions))]

    @property
    def _exact(self) -> bool:
        return bool(self.generated.settings["exact"])

    def _candidates(
        self, texts: Sequence[str], depth: int, only: np.ndarray | None = None, k: int = 10
    ) -> Iterator[tuple[int, Candidates]]:
        """Of each text, by its place, the documents in any list of this depth; an exact search: what else may be best.

        The texts come in any order.
        """
        trie, asked = self.generated.trie(only), self.generated.read(texts, TEXT)
        for places, memory in self.generated.batches(asked, max(SCORES // len(self.doc_ids), 1)):
            of_all = self._scores_of_all([texts[place] for place in places], memory)  # (2, b, N)
            if only is not None:
                of_all[:, :, np.setdiff1d(np.arange(of_all.shape[2]), only, assume_unique=True)] = -np.inf
            found = self.generated.best(memory, trie, min(depth, len(trie)))
            lists = [
                [rows[rows >= 0], *(self._first(scores, depth) for scores in of_all[:, b])]
                for b, rows in enumerate(found.rows.cpu().numpy())
            ]
            scored = self._scored(memory, trie, lists, of_all)
            if self._exact:
                more = [
                    [*rows, self._possible(one, scores, lowest, k)]
                    for rows, one, scores, lowest in zip(
                        lists, scored, of_all.transpose(1, 0, 2), _lowest(found, trie), strict=True
                    )
                ]
                scored = self._scored(memory, trie, more, of_all)
            yield from zip(places.tolist(), scored, strict=True)

    def _scores_of_all(self, texts: Sequence[str], memory: Memory) -> np.ndarray:
        """What the scorers say of all documents: (2, b, N), zero where there is no scorer."""
        of_all = np.zeros((2, len(texts), len(self.doc_ids)), dtype=np.float32)
        if DENSE in self.scorers:
            of_all[0] = UNITS[0] * self.scorers[DENSE](texts, memory)
        if WORDS in self.scorers:
            of_all[1] = UNITS[1] * self.scorers[WORDS](texts, memory)
        return of_all

    def _first(self, scores: np.ndarray, depth: int) -> np.ndarray:
        """The rows of the first `depth` by scores (N,); of those that say nothing, all alike, none."""
        return best_rows(np.where(scores == 0, -np.inf, scores), depth, self._ranks)

    def _possible(self, one: Candidates, of_all: np.ndarray, lowest: float, k: int) -> np.ndarray:
        """Rows that may be among the first k by the sum: an ID that was not found has at most log P `lowest`, if any.

        `one` are those that are scored already, `of_all` (2, N) what the scorers say.
        """
        if lowest == -np.inf:
            return np.empty(0, np.int64)
        kth = one.ranked(self.weighted, self._ranks, ())[1][:k][-1] if len(one.rows) >= k else -np.inf
        least = np.log(self.weighted.least) if self.weighted.least else -np.inf
        inside = np.flatnonzero((of_all > -np.inf).all(0))
        bound = self.weighted.ids * np.logaddexp(lowest, least)
        bound = bound + np.array(self.weighted.weights[1:]) @ of_all[:, inside]
        slack = ROUNDING * (1 + np.abs(kth)) if np.isfinite(kth) else 0.0
        possible: np.ndarray = inside[bound >= kth - slack]
        return possible

    def _scored(
        self, memory: Memory, trie: Trie, lists: Sequence[Sequence[np.ndarray]], of_all: np.ndarray
    ) -> list[Candidates]:
        """The documents in any of each question's lists, with log P of their IDs beside `of_all` (2, b, N)."""
        found = [candidates_of(some) for some in lists]
        widest = max(len(rows) for rows, _ in found)
        padded = np.stack([np.resize(rows, widest) for rows, _ in found])  # (b, C)
        log_p = self.generated.scores(memory, trie, torch.from_numpy(padded)).cpu().numpy()
        return [
            Candidates(
                rows, np.stack([log_p[b, : len(rows)], *of_all[:, b, rows]]).astype(np.float64), places=places[:3]
            )
            for b, (rows, places) in enumerate(found)
        ]


def _lowest(found: Found, trie: Trie) -> list[float]:
    """Of each question the highest log P that an ID can have which an exact search did not find."""
    if found.scores.shape[1] == len(trie):
        return [-np.inf] * len(found.scores)
    lowest: list[float] = found.scores[:, -1].tolist()
    return lowest
