"""The task of searching: a query -> the documents that answer it."""

from collections.abc import Sequence

import numpy as np

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.questions.queries import Queries
from lmindexer.questions.questions import TEXT, Questions
from lmindexer.questions.splits import PART, dev_apart, keep_apart
from lmindexer.questions.task import fingerprint_of, sample


class SearchTask:
    """A `Task` of queries -> documents that answer them; beside them, documents -> themselves.

    `train` may have several sets of queries: behind the first, pseudo-queries. No text of the test or dev queries is
    learned from (`keep_apart`). Where `splits` has no "dev", a tenth of the first is kept apart to choose by; where
    that is fewer than 200, others fill it up, which are not among `real_dev_questions`. `queries` are those splits,
    with "train" and "dev" as they are used; dev and test queries that no document answers yet are among them.
    """

    kind = TEXT

    def __init__(
        self, train: Sequence[Queries], splits: dict[str, Queries], corpus: Corpus, config: FinetuneConfig
    ) -> None:
        self.corpus, self._seed = corpus, config.seed
        train, splits = keep_apart(train, splits)
        self.notes = tuple(note for queries in train for note in queries.notes)
        dev = splits.get("dev", Queries((), (), ()))
        answerable_dev = dev.within(corpus.row_of)
        first = None
        if not len(answerable_dev):
            first = set(train[0].texts)
            train, dev, note = dev_apart(train, config.seed)
            answerable_dev = dev
            self.notes += (note,)
        self.queries = splits | {"train": train[0], "dev": dev}
        asked = answerable_dev.select(sample(len(answerable_dev), config.dev_queries, config.seed))
        self.dev_questions = asked.questions
        real = [n for n, text in enumerate(asked.texts) if first is None or text in first]
        self.real_dev_questions = self.dev_questions.select(real or range(len(asked)))
        self._texts: list[str] = []
        source, target, weight = list[int](), list[int](), list[float]()
        for queries in train:
            for text, grades in zip(queries.texts, queries.relevant, strict=True):
                highest = max(grades.values())
                for doc_id, grade in grades.items():
                    source.append(len(self._texts))
                    target.append(corpus.row_of[doc_id])
                    weight.append(grade / highest)
                self._texts.append(text)
        N, read = len(corpus), config.reads_documents
        self.documents = N if read else 0
        rows = np.arange(self.documents)
        self.source = np.concatenate([np.array(source), rows + len(self._texts)])
        self.target = np.concatenate([np.array(target), rows])
        self.weight = np.concatenate([np.array(weight, np.float32), np.ones(self.documents, np.float32)])
        kept = (str(q) for s in self.queries.values() for q in zip(s.query_ids, s.texts, s.relevant, strict=True))
        self.fingerprint = fingerprint_of([*self._texts, *kept], self.target, self.weight)

    @property
    def texts(self) -> list[str]:
        """What `source` counts: the training queries, and the documents where these are read."""
        return [*self._texts, *(self.corpus.texts() if self.documents else ())]

    def questions_of(self, rows: np.ndarray) -> Questions:
        """As `Task.questions_of`."""
        pairs = len(self.target) - self.documents
        wanted = set(rows.tolist())
        answers: dict[str, list[int]] = {}
        for source, target in zip(self.source[:pairs].tolist(), self.target[:pairs].tolist(), strict=True):
            answers.setdefault(self._texts[source], []).append(target)
        found = [(text, targets) for text, targets in answers.items() if wanted.issuperset(targets)]
        asked_for = {row for _, targets in found for row in targets}
        dice = np.random.default_rng(self._seed)
        for row in sorted(wanted - asked_for):
            words = self.corpus[row].text.split()
            if words:
                at = int(dice.integers(max(len(words) - PART, 0) + 1))
                found.append((" ".join(words[at : at + PART]), [row]))
        doc_ids = self.corpus.doc_ids
        relevant = (dict.fromkeys((doc_ids[row] for row in targets), 1.0) for _, targets in found)
        return Questions(tuple(text for text, _ in found), tuple(relevant))
