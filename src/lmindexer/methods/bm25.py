"""Answer by BM25: by the words of the query, stemmed, and nothing else."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from lmindexer.corpus.bm25 import Bm25
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.words import all_words_of, words_of
from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.store import load_documents
from lmindexer.methods.retriever import Hit, Retriever, best_hits
from lmindexer.questions.questions import TEXT
from lmindexer.questions.sequences import Sequences
from lmindexer.runs import Run

STOP_TEXT = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was
will with
"""
STOP_WORDS = frozenset(STOP_TEXT.split())  # Lucene's, as in bm25s


def open_run(run: Path, kind: str, sequences: Sequences | None) -> "Bm25Retriever":
    """As `Method.open`. Raises InputError where the extra bm25 is not installed."""
    return Bm25Retriever(load_documents(Run.open(run)))


class Bm25Retriever(Retriever):
    """By the words of `corpus.words.words_of`, without stop words.

    A query that has no other is asked by its stop words, its words of one letter and names such as C++
    (`all_words_of`). These are counted apart, so that they change the score of no other query.

    Raises InputError where PyStemmer is not installed.
    """

    reads = (TEXT,)

    def __init__(self, corpus: Corpus, language: str = "english") -> None:
        try:
            import Stemmer
        except ImportError:
            raise InputError("BM25 needs PyStemmer; run: pip install 'lmindexer[bm25]'") from None
        self.doc_ids, self._ranks = corpus.doc_ids, tie_ranks(corpus.doc_ids)
        self.settings = {"language": language}
        self._corpus = corpus
        self._stemmer = Stemmer.Stemmer(language)
        self._index = Bm25.of(self._stemmed(corpus.texts(), _content_words))

    def _answer(self, questions: list[str], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        """A document that has no word of the query is no hit."""
        hits = []
        for text in questions:
            scores = np.full(len(self.doc_ids), -np.inf, dtype=np.float32)
            index, words = self._known_words(text)
            if words:
                found = index.scores(words)
                scores = np.where(found > 0, found, -np.inf)
            if rows is not None:
                scores[np.setdiff1d(np.arange(len(scores)), rows, assume_unique=True)] = -np.inf
            hits.append(best_hits(scores, self.doc_ids, k, self._ranks))
        return hits

    def without_words(self, texts: Sequence[str]) -> list[str]:
        """As `ByWords.without_words`."""
        return [text for text in texts if not self._known_words(text)[1]]

    def _known_words(self, text: str) -> tuple[Bm25, list[str]]:
        """The index that answers a text, and the text's words that are in it."""
        index, (words,) = self._index, self._stemmed([text], _content_words)
        if not words:
            index, (words,) = self._index_of_all, self._stemmed([text], all_words_of)
        return index, [word for word in words if word in index.column_of]

    @cached_property
    def _index_of_all(self) -> Bm25:
        return Bm25.of(self._stemmed(self._corpus.texts(), all_words_of))

    def _stemmed(self, texts: Sequence[str], split: Callable[[str], list[str]]) -> list[list[str]]:
        """The stems of each text's words; equal ones are one object, which spares memory."""
        stems: dict[str, str] = {}
        found = []
        for text in texts:
            words = split(text)
            new = [word for word in words if word not in stems]
            stems.update(zip(new, self._stemmer.stemWords(new), strict=True))
            found.append([stems[word] for word in words])
        return found


def _content_words(text: str) -> list[str]:
    """The words of a text without stop words."""
    return [word for word in words_of(text) if word not in STOP_WORDS]
