"""Recommend by generating IDs (section 4.3): what a user took -> the IDs of what they take next."""

from collections.abc import Iterable, Sequence
from typing import Unpack

from lmindexer.learn.histories import HistoryMemories
from lmindexer.retrievers.finetuned import Finetuned
from lmindexer.retrievers.generative import GenerativeRetriever
from lmindexer.retrievers.hits import Hit, How, check_question, history_rows

BATCH = 64  # histories read and searched together


class GenerativeRecommender:
    """With a model fine-tuned to recommend. Also a `Retriever`: a text is read as the model reads a document."""

    def __init__(self, finetuned: Finetuned, **how: Unpack[How]) -> None:
        self.finetuned = finetuned
        self.retriever = finetuned_search(finetuned, **how)
        self.settings = self.retriever.settings

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]:
        """The best k documents to take next for each history, document ids, oldest first.

        As `Recommender.recommend`.
        """
        check_question((), k)
        corpus, reader, items = self.finetuned.corpus, self.finetuned.reader, self.finetuned.items
        rows = history_rows(histories, corpus.row_of)
        if not rows:
            return []
        if reader is None or items is None:
            newest = self.finetuned.config.max_items
            return self.retriever.search(
                [written_out(corpus.texts(each[::-1][:newest])) for each in rows], k, only=only
            )
        reader.eval()
        return self.retriever.find(HistoryMemories.of(reader, items, rows), k, only, BATCH)

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[str] | None = None) -> list[list[Hit]]:
        """As `Retriever.search`."""
        return self.retriever.search(texts, k, only=only)


def finetuned_search(finetuned: Finetuned, **how: Unpack[How]) -> GenerativeRetriever:
    """Searches with a fine-tuned model; `beams` as it was trained with and `novelty` as calibrated, unless given."""
    config = finetuned.config
    how.setdefault("beams", config.beams)
    calibrated = "novelty" not in how
    if calibrated:
        how["novelty"] = finetuned.novelty or 0.0
    retriever = GenerativeRetriever(
        finetuned.model,
        finetuned.ids,
        max_tokens=config.max_tokens,
        precision=config.precision,
        new=finetuned.new,
        **how,
    )
    if calibrated and finetuned.new:
        retriever.settings["novelty"] = "calibrated"  # each model's own is one way to ask all of them
    return retriever


def written_out(texts: Iterable[str]) -> str:
    """A history as one text, the newest item first: what is too long loses the oldest."""
    return " ; ".join(" ".join(text.split()) for text in texts) or "-"
