"""BM25, by bm25s: the words of the query, stemmed, and nothing else."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_ranks
from lmindexer.retrievers.hits import Hit, best_hits, check_question, rows_of


class Bm25Retriever:
    """Raises InputError where bm25s and PyStemmer are not installed."""

    def __init__(self, corpus: Corpus, language: str = "english") -> None:
        try:
            import bm25s
            import Stemmer
        except ImportError:
            raise InputError("BM25 needs bm25s and PyStemmer; run: pip install 'lmindexer[bm25]'") from None
        self.doc_ids, self._ranks = corpus.doc_ids, tie_ranks(corpus.doc_ids)
        self.settings = {"language": language}
        self._stemmer = Stemmer.Stemmer(language)
        self._index = bm25s.BM25()
        texts = self._words(corpus.texts())
        self._some_words = any(texts)
        if self._some_words:
            self._index.index(texts, show_progress=False)

    def search(self, texts: Sequence[str], k: int = 10, *, only: Iterable[str] | None = None) -> list[list[Hit]]:
        """As `Retriever.search`; a document that has no word of the query is no hit."""
        check_question(texts, k)
        allowed = None if only is None else rows_of(only, self.doc_ids)
        hits = []
        for words in self._words(texts):
            scores = np.full(len(self.doc_ids), -np.inf, dtype=np.float32)
            if self._some_words and words:
                found = self._index.get_scores(words)
                scores = np.where(found > 0, found, -np.inf)
            if allowed is not None:
                scores[np.setdiff1d(np.arange(len(scores)), allowed, assume_unique=True)] = -np.inf
            hits.append(best_hits(scores, self.doc_ids, k, self._ranks))
        return hits

    def _words(self, texts: Sequence[str]) -> Any:
        import bm25s

        return bm25s.tokenize(list(texts), stopwords="en", stemmer=self._stemmer, return_ids=False, show_progress=False)
