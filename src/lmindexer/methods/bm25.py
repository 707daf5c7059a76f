"""Answer by BM25: by the words of the query, stemmed, and nothing else; its two numbers may be chosen on dev."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.bm25 import K1, B, Bm25, WordCounts
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.words import all_words_of, words_of
from lmindexer.errors import InputError
from lmindexer.ids.ties import tie_ranks
from lmindexer.indexers.store import load_documents
from lmindexer.methods.retriever import Hit, Retriever, best_hits
from lmindexer.methods.taught import FACTS, read_config, taught_by
from lmindexer.questions.questions import TEXT
from lmindexer.questions.sequences import Sequences
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.values import DocId

ENGLISH, NONE = "english", "none"
STOP_TEXT = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was
will with
"""
STOP_WORDS = {ENGLISH: frozenset(STOP_TEXT.split()), NONE: frozenset[str]()}  # Lucene's, as in bm25s


def open_run(run: Path, kind: str, sequences: Sequences | None, **settings: Any) -> "Bm25Retriever":
    """As `Method.open`: with `settings` of `Bm25Retriever`, by default those that teaching chose for the run.

    Raises InputError where the extra bm25 is not installed.
    """
    folder = Run.open(run)
    return Bm25Retriever(load_documents(folder), **(_chosen(folder) | settings))


def _chosen(run: Run) -> dict[str, Any]:
    """The settings that a run was taught; none of one that was not taught bm25."""
    if taught_by(run.path) != "bm25":
        return {}
    config = read_config(run.path)
    facts = run.read_json(FACTS)
    with run.trusting(FACTS):
        numbers = {name: float(facts["chosen"][name]) for name in ("k1", "b")}
    return {"stem": config.stem, "stop_words": config.stop_words} | numbers


class Stems:
    """Texts as the words that are counted, stemmed.

    `stem` is a language of PyStemmer, or "none"; `stop_words` are those of a key of STOP_WORDS. Raises InputError for
    others, and where PyStemmer is missing and needed.
    """

    def __init__(self, stem: str = ENGLISH, stop_words: str = ENGLISH) -> None:
        if stop_words not in STOP_WORDS:
            raise InputError(f"there are no stop words {stop_words!r}; choose one of {', '.join(STOP_WORDS)}")
        self._stop_words, self._stemmer = STOP_WORDS[stop_words], None
        if stem == NONE:
            return
        try:
            import Stemmer
        except ImportError:
            raise InputError("BM25 needs PyStemmer; run: pip install 'lmindexer[bm25]'") from None
        if stem not in Stemmer.algorithms():
            raise InputError(f"there is no stemmer {stem!r}; choose one of {NONE}, {', '.join(Stemmer.algorithms())}")
        self._stemmer = Stemmer.Stemmer(stem)

    def content(self, texts: Sequence[str]) -> list[list[str]]:
        """The stems of each text's words by `words_of`, without stop words."""
        return self._stemmed(texts, lambda text: [w for w in words_of(text) if w not in self._stop_words])

    def all(self, texts: Sequence[str]) -> list[list[str]]:
        """The stems of each text's words by `all_words_of`."""
        return self._stemmed(texts, all_words_of)

    def _stemmed(self, texts: Sequence[str], split: Callable[[str], list[str]]) -> list[list[str]]:
        """The stems of each text's words; equal ones are one object, which spares memory."""
        stems: dict[str, str] = {}
        found = []
        for text in texts:
            words = split(text)
            new = [word for word in words if word not in stems]
            stems.update(zip(new, new if self._stemmer is None else self._stemmer.stemWords(new), strict=True))
            found.append([stems[word] for word in words])
        return found


class Bm25Retriever(Retriever):
    """By the words of `corpus.words.words_of`, without stop words.

    A query that has no other is asked by its stop words, its words of one letter and names such as C++
    (`all_words_of`). These are counted apart, so that they change the score of no other query.

    `k1` says how soon repeating a word stops to count, `b` how much long texts pay; `stem` and `stop_words` are as of
    `Stems`. Raises InputError as that does, for a `k1` below 0 and a `b` that is not from 0 to 1.
    """

    reads = (TEXT,)

    def __init__(
        self,
        corpus: Corpus,
        *,
        k1: float = K1,
        b: float = B,
        stem: str = ENGLISH,
        stop_words: str = ENGLISH,
        counts: WordCounts | None = None,
    ) -> None:
        """`counts` are those of `Stems.content` of the same corpus, where they are known already."""
        check_numbers(k1, b)
        self.doc_ids, self._ranks = corpus.doc_ids, tie_ranks(corpus.doc_ids)
        usual = {"k1": (k1, K1), "b": (b, B), "stop_words": (stop_words, ENGLISH)}
        self.settings = {"language": stem} | {name: value for name, (value, as_ever) in usual.items()
                                              if value != as_ever}  # fmt: skip
        self._corpus, self._k1, self._b, self._stems = corpus, k1, b, Stems(stem, stop_words)
        self._index = Bm25.weighed(counts or WordCounts.of(self._stems.content(corpus.texts())), k1, b)

    def _answer(self, questions: list[str], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        """A document that has no word of the query is no hit."""
        hits = []
        for text in questions:
            (found,) = self.scores([text])
            scores = np.where(found > 0, found, -np.inf)
            if rows is not None:
                scores[np.setdiff1d(np.arange(len(scores)), rows, assume_unique=True)] = -np.inf
            hits.append(best_hits(scores, self.doc_ids, k, self._ranks))
        return hits

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """What all documents score for some texts, (b, N) float32: 0 where a document has no word of a text."""
        asked = [self._known_words(text) for text in texts]
        return np.stack([index.scores(words) for index, words in asked])

    def without_words(self, texts: Sequence[str]) -> list[str]:
        """As `ByWords.without_words`."""
        return [text for text in texts if not self._known_words(text)[1]]

    def score_parts(
        self, question: str, hits: Sequence[Hit], *, only: Iterable[DocId] | None = None
    ) -> list[dict[str, float]]:
        """As `ByParts.score_parts`: what each stem of the question is worth in each document."""
        index, words = self._known_words(question)
        worth = {word: index.scores([word]) * words.count(word) for word in dict.fromkeys(words)}
        rows = [self._corpus.row_of[hit.doc_id] for hit in hits]
        return [{word: float(scores[row]) for word, scores in worth.items() if scores[row]} for row in rows]

    def _known_words(self, text: str) -> tuple[Bm25, list[str]]:
        """The index that answers a text, and the text's words that are in it."""
        index, (words,) = self._index, self._stems.content([text])
        if not words:
            index, (words,) = self._index_of_all, self._stems.all([text])
        return index, [word for word in words if word in index.column_of]

    @cached_property
    def _index_of_all(self) -> Bm25:
        return Bm25.of(self._stems.all(self._corpus.texts()), self._k1, self._b)


def check_numbers(k1: float, b: float) -> None:
    """Raise InputError unless BM25 can be counted with these."""
    if not 0 <= k1 < np.inf or not 0 <= b <= 1:
        raise InputError(f"k1 must be 0 or more and b from 0 to 1, not {k1:g} and {b:g}; change them")


class ChosenBm25:
    """The `Choosable` of BM25: every k1 with every b; of equally good ones those nearest to the usual are kept."""

    def __init__(self, run: Run, config: FinetuneConfig) -> None:
        self.config, self._corpus = config, load_documents(run)
        self._words = {"stem": config.stem, "stop_words": config.stop_words}
        self._counts = WordCounts.of(Stems(**self._words).content(self._corpus.texts()))

    def unseen(self, task: Task) -> list[str]:
        """As `Choosable.unseen`."""
        return []

    @property
    def grid(self) -> Sequence[dict[str, float]]:
        """As `Choosable.grid`."""
        pairs = [(k1, b) for k1 in self.config.k1 for b in self.config.b]
        pairs = sorted(pairs, key=lambda pair: abs(pair[0] - K1) + abs(pair[1] - B))
        return [{"k1": k1, "b": b} for k1, b in pairs]

    def retriever(self, **settings: float) -> Bm25Retriever:
        """As `Choosable.retriever`."""
        how: dict[str, Any] = settings | self._words
        return Bm25Retriever(self._corpus, counts=self._counts, **how)


begin = ChosenBm25  # of `Method.begin`
