"""Recommend by generating IDs (section 4.3): what a user took -> the IDs of what they take next."""

from collections.abc import Iterable, Sequence

from lmindexer.errors import InputError
from lmindexer.learn.histories import HistoryMemories
from lmindexer.retrievers.finetuned import Finetuned
from lmindexer.retrievers.generative import GenerativeRetriever
from lmindexer.retrievers.hits import Hit

NOT_TAUGHT = "{run} was not taught to recommend; run lmindexer finetune on it, or on the run it was made from"
BATCH = 64  # histories read and searched together


class GenerativeRecommender:
    """With a model fine-tuned to recommend. Also a `Retriever`: a text is read as the model reads a document."""

    def __init__(
        self, finetuned: Finetuned, *, beams: int | None = None, exact: bool = False, renormalise: bool = False
    ) -> None:
        self.finetuned = finetuned
        self.retriever = finetuned_search(finetuned, beams=beams, exact=exact, renormalise=renormalise)

    def recommend(
        self, histories: Sequence[Sequence[str]], k: int = 10, *, only: Iterable[str] | None = None
    ) -> list[list[Hit]]:
        """The best k documents to take next for each history, document ids, oldest first.

        What is in a history may be among them. Raises InputError for a k below 1, an empty history or an unknown
        document, and as `Retriever.search` does for `only`.
        """
        if k < 1:
            raise InputError(f"k is how many documents to find; it must be at least 1, not {k}")
        corpus, reader, items = self.finetuned.corpus, self.finetuned.reader, self.finetuned.items
        rows = []
        for history in histories:
            unknown = [doc_id for doc_id in history if doc_id not in corpus.row_of]
            if unknown:
                raise InputError(f"{unknown[0]!r} of a history is none of the {len(corpus):,} documents; leave it out")
            if not history:
                raise InputError("a history is empty; name at least one document")
            rows.append([corpus.row_of[doc_id] for doc_id in history])
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


def finetuned_search(
    finetuned: Finetuned, *, beams: int | None = None, exact: bool = False, renormalise: bool = False
) -> GenerativeRetriever:
    """Searches with a fine-tuned model; `beams` as it was trained with, unless given."""
    config = finetuned.config
    return GenerativeRetriever(
        finetuned.model,
        finetuned.ids,
        max_tokens=config.max_tokens,
        precision=config.precision,
        beams=beams or config.beams,
        exact=exact,
        renormalise=renormalise,
    )


def written_out(texts: Iterable[str]) -> str:
    """A history as one text, the newest item first: what is too long loses the oldest."""
    return " ; ".join(" ".join(text.split()) for text in texts) or "-"
