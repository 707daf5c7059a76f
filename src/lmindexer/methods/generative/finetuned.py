"""Ask a fine-tuned model (section 4.3): texts, and histories where it was taught to recommend."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor

from lmindexer.config import IMPORTED
from lmindexer.errors import InputError
from lmindexer.indexers.lmindexer import LMIndexer
from lmindexer.indexers.store import has_ids, no_ids
from lmindexer.methods.generative.folder import load
from lmindexer.methods.generative.histories import HistoryMemories
from lmindexer.methods.generative.model import GenerativeModel
from lmindexer.methods.generative.retriever import Asked, GenerativeRetriever
from lmindexer.methods.retriever import Hit, How, best_hits, history_rows, rows_of
from lmindexer.methods.taught import read_config, taught_by
from lmindexer.methods.weights import SUM, Scored, summed, weights_for
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.questions.sequences import Sequences
from lmindexer.runs import Run
from lmindexer.values import DocId


class FinetunedRetriever(GenerativeRetriever):
    """Searches with a fine-tuned model; `beams` as it was taught with and `novelty` as calibrated, unless given.

    One that recommends reads a text as it reads a document. A history is answered by the `score` "ids", log P of an
    item's ID; "dense", log P of the item by its nearness to the history; or "sum", both, by the weights of the model.
    """

    def __init__(self, model: GenerativeModel, *, score: str = SUM, **how: Unpack[How]) -> None:
        config, self.parts = model.config, model.parts
        self.weights = weights_for(score, self.parts, model.weights)
        self._depth = how.setdefault("beams", config.beams)
        calibrated = "novelty" not in how
        if calibrated:
            how["novelty"] = model.novelty or 0.0
        super().__init__(
            model.model, model.ids, max_tokens=config.max_tokens, precision=config.precision, new=model.new, **how
        )
        if calibrated and model.new:
            self.settings["novelty"] = "calibrated"  # each model's own is one way to ask all of them
        if len(self.parts) > 1:
            self.settings["score"] = score
        self.finetuned = model
        self.reads = (HISTORY, TEXT) if config.task == "recommend" else (TEXT,)

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        if kind == TEXT or not any(self.weights[1:]):
            return super()._answer(questions, kind, k, rows)
        allowed = np.arange(len(self.doc_ids)) if rows is None else rows
        ids, ranks = [self.doc_ids[row] for row in allowed.tolist()], self.ranks[allowed]
        asked = self._histories(questions)
        hits: list[list[Hit]] = [[] for _ in range(len(asked))]
        for places, scores in self._all_scores(asked, rows, self.weights):
            for place, of_history in zip(places.tolist(), summed(scores, self.weights), strict=True):
                hits[place] = best_hits(of_history[allowed], ids, k, ranks)
        return hits

    def score_parts(
        self, question: Any, hits: Sequence[Hit], *, only: Iterable[DocId] | None = None
    ) -> list[dict[str, float]]:
        """As `ByParts.score_parts`: of a history that is answered by several scores, what each of these adds."""
        if isinstance(question, str) or not any(self.weights[1:]):
            return super().score_parts(question, hits, only=only)
        rows = None if only is None else rows_of(only, self.doc_ids)
        ((_, scores),) = self._all_scores(self._histories([question]), rows, self.weights)
        weighted = np.array(self.weights)[:, None] * scores[:, 0]  # (P, N)
        return [dict(zip(self.parts, weighted[:, self.ids.row_of[hit.doc_id]].tolist(), strict=True)) for hit in hits]

    def scored(self, questions: Sequence[Any], kind: str, k: int) -> list[Scored]:
        """As `Summing.scored`: of histories; what the beams reach, and the nearest of what they do not."""
        asked = self._histories(questions)
        found: list[Any] = [None] * len(asked)
        for places, scores in self._all_scores(asked, None, (1.0,) * len(self.parts)):
            log_p, nearness = scores
            last = max(scores.shape[2] - k - 2 * self._depth, 0)
            kept = nearness >= np.partition(nearness, last, axis=1)[:, last, None]
            kept |= log_p > log_p.min(1, keepdims=True)
            for n, place in enumerate(places.tolist()):
                rows = np.flatnonzero(kept[n])
                found[place] = Scored(rows, scores[:, n, rows])
        return found

    def _all_scores(
        self, asked: HistoryMemories, rows: np.ndarray | None, weights: Sequence[float]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places (b,) of some histories after others, and both scores (2, b, N) of all documents; 0 of a weight of 0.

        log P of the ID is that of the best by IDs and of the nearest, `beams` of each; all others have the lowest of
        these.
        """
        trie = self.trie(rows)
        depth, others = min(self._depth, len(trie)), np.ones(len(self.doc_ids), bool)
        others[slice(None) if rows is None else rows] = False
        for places, memory in self.batches(asked):
            nearness = self._dense(asked, places)
            log_p = np.zeros_like(nearness)
            if weights[0]:
                nearest = np.argpartition(np.where(others, np.inf, -nearness), depth - 1, axis=1)[:, :depth]
                found = self.best(memory, trie, depth)
                documents = np.concatenate([found.rows.cpu().numpy(), nearest], 1)
                by_id = self.scores(memory, trie, torch.from_numpy(nearest)).cpu().numpy()
                scores = np.concatenate([found.scores.cpu().numpy(), by_id], 1)
                log_p[:] = scores.min(1, keepdims=True)
                np.put_along_axis(log_p, documents[:, ::-1], scores[:, ::-1], 1)
            yield places, np.stack([log_p, nearness])

    @torch.no_grad()
    def _dense(self, asked: HistoryMemories, some: np.ndarray) -> np.ndarray:
        """log P (b, N) of all documents by how near their vectors are to the states of these histories."""
        assert asked.catalogue is not None
        return (asked.states(some).newest @ asked.catalogue.T).log_softmax(1).cpu().numpy()

    @cached_property
    def _catalogue(self) -> Tensor:
        reader, items = self.finetuned.reader, self.finetuned.items
        assert reader is not None
        assert items is not None
        with torch.no_grad():
            return reader.eval().catalogue(replace(items, known=items.known & ~self._is_new))

    @cached_property
    def _is_new(self) -> Tensor:
        """(N,) bool, which documents came after training."""
        is_new = np.zeros(len(self.doc_ids), bool)
        is_new[np.array(self.finetuned.new, np.int64)] = True
        return torch.from_numpy(is_new).to(self.device)

    def _histories(self, questions: Sequence[Any]) -> HistoryMemories:
        asked = self.read(questions, HISTORY)
        assert isinstance(asked, HistoryMemories)
        return asked

    def read(self, questions: Sequence[Any], kind: str) -> Asked:
        if kind == TEXT:
            return super().read(questions, kind)
        corpus, reader, items = self.finetuned.corpus, self.finetuned.reader, self.finetuned.items
        rows = history_rows(questions, corpus.row_of)
        if reader is None or items is None:
            newest = self.finetuned.config.max_items
            texts = [written_out(corpus.texts(history[::-1][:newest])) for history in rows]
            return super().read(texts, TEXT)
        reader.eval()
        return HistoryMemories.of(reader, items, rows, self._catalogue)


def written_out(texts: Iterable[str]) -> str:
    """A history as one text, the newest item first: what is too long loses the oldest."""
    return " ; ".join(" ".join(text.split()) for text in texts) or "-"


def open_run(
    run: Path, kind: str, sequences: Sequences | None, *, score: str = SUM, **how: Unpack[How]
) -> GenerativeRetriever:
    """As `Method.open`: of a run of LMIndexer, or of any run that was fine-tuned. Raises InputError for another."""
    folder = Run.open(run)
    if not has_ids(folder):
        raise no_ids(folder)
    if taught_by(run) == "generative":
        config = read_config(run)
        if kind == HISTORY and config.task != "recommend":
            raise _not_taught(run)
        return FinetunedRetriever(load(run), score=score, **how)
    if kind == HISTORY:
        raise _not_taught(run)
    weights_for(score, ("ids",), None)
    if "novelty" in how:
        raise InputError(
            f"novelty favours what came after fine-tuning, and {run} was not fine-tuned to give IDs; leave it out"
        )
    config_of_ids = folder.config
    name = config_of_ids.indexer
    if name != "lmindexer" or config_of_ids.given_vectors:
        origin = "was imported without a" if name == IMPORTED else f"was learned by {name}, which has no"
        if name == "lmindexer":
            origin = "was learned from vectors, so that no query can be read by its"
        raise InputError(
            f"{run} {origin} model to generate IDs; fine-tune it first (lmindexer finetune), search a run of --indexer "
            "lmindexer, or choose --method bm25"
        )
    indexer = LMIndexer.load(run)
    assert indexer.model is not None
    assert indexer.ids is not None
    return GenerativeRetriever(
        indexer.model,
        indexer.ids,
        max_tokens=config_of_ids.max_tokens,
        precision=config_of_ids.precision,
        **how,
    )


def _not_taught(run: Path) -> InputError:
    if other := taught_by(run):
        source = Run(run).facts.get("indexed_by", "the run it was made from")
        task = "" if other == "generative" else f" by {other}"
        return InputError(
            f"{run} was not taught to recommend by generated IDs but to {read_config(run).task}{task}; run lmindexer "
            f"finetune on {source}, or choose --method dense, which needs no teaching"
        )
    return InputError(
        f"{run} was not taught to recommend; run lmindexer finetune on it, or on the run it was made from, or choose "
        "--method dense, which needs no teaching"
    )
