"""What fine-tuning learns from and is chosen by: pairs of what is asked and the document that answers it."""

import hashlib
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Unpack

import numpy as np

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.tokens import Tokens
from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import judge, parse_metric
from lmindexer.learn.histories import HistoryMemories
from lmindexer.learn.memories import Memories
from lmindexer.retrievers.finetuned import Finetuned
from lmindexer.retrievers.generative import Asked
from lmindexer.retrievers.hits import Hit, How
from lmindexer.retrievers.recommender import GenerativeRecommender, finetuned_search, written_out
from lmindexer.tasks.queries import Queries, text_key
from lmindexer.tasks.sequences import Examples, Sequences, held_out, training_examples
from lmindexer.tasks.splits import keep_apart

DEV_SHARE = 0.1  # of training queries without a dev split
PART = 8  # words of a text that stand for a question
FEW_DEV = 200  # queries: fewer choose by luck, so that pseudo-queries are asked, too


@dataclass(frozen=True)
class Questions:
    """Texts, or histories of document ids, and to each the documents that answer it."""

    asked: tuple[Any, ...]
    relevant: tuple[Mapping[str, float], ...]  # document id -> grade, above 0

    def __len__(self) -> int:
        return len(self.asked)

    def select(self, places: Iterable[int]) -> "Questions":
        """Some of them, in this order."""
        chosen = list(places)
        return Questions(tuple(self.asked[n] for n in chosen), tuple(self.relevant[n] for n in chosen))

    def sample(self, most: int, seed: int) -> "Questions":
        """At most so many of them, drawn at random, in their order."""
        return self.select(np.sort(np.random.default_rng(seed).permutation(len(self))[:most]).tolist())

    def joined(self, others: "Questions") -> "Questions":
        """These, then the others."""
        return Questions(self.asked + others.asked, self.relevant + others.relevant)

    def judged(self, ranked: Sequence[Sequence[str]], metric: str) -> float:
        """The mean of a metric such as "recall@10" for these lists of document ids; 0 where there is no question."""
        if not len(self):
            return 0.0
        names = [str(n) for n in range(len(self))]
        judged = judge(names, list(ranked), list(self.relevant), [parse_metric(metric)], resamples=0)
        return next(iter(judged.means.values()))


class Task(Protocol):
    """Pairs e of an input `source[e]` and the row `target[e]` of a document that answers it.

    The last `documents` pairs are documents and themselves; of these an epoch takes only a share.
    """

    source: np.ndarray  # (E,) which of `asked` is read
    target: np.ndarray  # (E,) rows of the corpus
    weight: np.ndarray  # (E,) float32, above 0: the grade of the answer
    documents: int
    notes: tuple[str, ...]
    fingerprint: str  # the same for the same data
    dev_questions: Questions

    def asked(self, finetuned: Finetuned, folder: Path) -> Asked:
        """Memories of all that is read in training."""
        ...

    def questions_of(self, rows: np.ndarray) -> Questions:
        """Questions that these documents answer and no other: those of training pairs, or else parts of their texts."""
        ...

    def ask(self, finetuned: Finetuned, questions: Questions, k: int, **how: Unpack[How]) -> list[list[Hit]]:
        """The best k documents for each question."""
        ...

    def dev(self, finetuned: Finetuned) -> float:
        """The dev metric of the model as it is."""
        ...


class RecommendTask:
    """A user's history -> the item taken next."""

    documents = 0

    def __init__(self, sequences: Sequences, corpus: Corpus, config: FinetuneConfig) -> None:
        self.sequences, self.corpus, self.config, self.notes = sequences, corpus, config, sequences.notes
        self.train = training_examples(sequences, config.samples, config.seed)
        if not len(self.train):
            raise InputError("no user took enough items to learn from; give sequences of at least 4 items")
        self.source, self.target = np.arange(len(self.train)), self.train.target
        self.weight = np.ones(len(self.train), np.float32)
        dev = held_out(sequences, "dev")
        if not len(dev):
            raise InputError("no user took 3 items or more, so there is none to choose by; give longer sequences")
        self.fingerprint = _fingerprint(sequences.users, sequences.rows, sequences.offsets, sequences.parts)
        chosen = _sample(len(dev), config)
        self.dev_questions = self._questions(dev, chosen)

    def asked(self, finetuned: Finetuned, folder: Path) -> Asked:
        train = self.train
        if finetuned.reader is not None and finetuned.items is not None:
            return HistoryMemories(finetuned.reader, finetuned.items, train.sequences.rows, train.start, train.end)
        texts = (self.corpus.texts(newest) for newest in (train.history(e)[::-1][: self.config.max_items].tolist()
                 for e in range(len(train))))  # fmt: skip
        return _texts_asked(finetuned, [written_out(each) for each in texts], folder)

    def questions_of(self, rows: np.ndarray) -> Questions:
        return self._questions(self.train, np.flatnonzero(np.isin(self.target, rows)))

    def ask(self, finetuned: Finetuned, questions: Questions, k: int, **how: Unpack[How]) -> list[list[Hit]]:
        return GenerativeRecommender(finetuned, **how).recommend(questions.asked, k)

    def dev(self, finetuned: Finetuned) -> float:
        return _dev(self, finetuned, self.config)

    def _questions(self, examples: Examples, chosen: np.ndarray) -> Questions:
        doc_ids = self.corpus.doc_ids
        histories = tuple([doc_ids[row] for row in examples.history(e).tolist()] for e in chosen.tolist())
        return Questions(histories, tuple({doc_ids[examples.target[e]]: 1.0} for e in chosen.tolist()))


class SearchTask:
    """A query -> a document that answers it; beside them, documents -> themselves.

    `train` may have several sets of queries: behind the first, pseudo-queries. No text of the test or dev queries is
    learned from (`keep_apart`). Where `splits` has no "dev", a tenth of the first is kept apart to choose by; where
    that is fewer than 200, others fill it up. `queries` are those splits, with "train" and "dev" as they are used;
    dev and test queries that no document answers yet are among them.
    """

    def __init__(
        self, train: Sequence[Queries], splits: dict[str, Queries], corpus: Corpus, config: FinetuneConfig
    ) -> None:
        self.corpus, self.config = corpus, config
        train, splits = keep_apart(train, splits)
        self.notes = tuple(note for queries in train for note in queries.notes)
        dev = splits.get("dev", Queries((), (), ()))
        answerable_dev = dev.within(corpus.row_of)
        if not len(answerable_dev):
            train, dev, note = _apart(train, config)
            answerable_dev = dev
            self.notes += (note,)
        self.queries = splits | {"train": train[0], "dev": dev}
        asked = answerable_dev.select(_sample(len(answerable_dev), config))
        self.dev_questions = Questions(asked.texts, asked.relevant)
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
        N, read = len(corpus), config.documents > 0
        self.documents = N if read else 0
        rows = np.arange(self.documents)
        self.source = np.concatenate([np.array(source), rows + len(self._texts)])
        self.target = np.concatenate([np.array(target), rows])
        self.weight = np.concatenate([np.array(weight, np.float32), np.ones(self.documents, np.float32)])
        told = (str(each) for q in self.queries.values() for each in zip(q.query_ids, q.texts, q.relevant, strict=True))
        self.fingerprint = _fingerprint([*self._texts, *told], self.target, self.weight)

    def asked(self, finetuned: Finetuned, folder: Path) -> Asked:
        return _texts_asked(finetuned, [*self._texts, *(self.corpus.texts() if self.documents else ())], folder)

    def questions_of(self, rows: np.ndarray) -> Questions:
        pairs = len(self.target) - self.documents
        wanted = set(rows.tolist())
        answers: dict[str, list[int]] = {}
        for source, target in zip(self.source[:pairs].tolist(), self.target[:pairs].tolist(), strict=True):
            answers.setdefault(self._texts[source], []).append(target)
        found = [(text, targets) for text, targets in answers.items() if wanted.issuperset(targets)]
        asked_for = {row for _, targets in found for row in targets}
        dice = np.random.default_rng(self.config.seed)
        for row in sorted(wanted - asked_for):
            words = self.corpus[row].text.split()
            if words:
                at = int(dice.integers(max(len(words) - PART, 0) + 1))
                found.append((" ".join(words[at : at + PART]), [row]))
        doc_ids = self.corpus.doc_ids
        relevant = (dict.fromkeys((doc_ids[row] for row in targets), 1.0) for _, targets in found)
        return Questions(tuple(text for text, _ in found), tuple(relevant))

    def ask(self, finetuned: Finetuned, questions: Questions, k: int, **how: Unpack[How]) -> list[list[Hit]]:
        return finetuned_search(finetuned, **how).search(questions.asked, k)

    def dev(self, finetuned: Finetuned) -> float:
        return _dev(self, finetuned, self.config)


def _fingerprint(texts: Iterable[str], *arrays: np.ndarray) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in (*(text.encode() for text in texts), *(each.tobytes() for each in arrays)):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _texts_asked(finetuned: Finetuned, texts: list[str], folder: Path) -> Memories:
    tokens = Tokens.of(finetuned.model.backbone.tokenize(texts, finetuned.config.max_tokens))
    return Memories(finetuned.model.backbone, tokens, finetuned.bf16, folder)


def _apart(train: Sequence[Queries], config: FinetuneConfig) -> tuple[list[Queries], Queries, str]:
    """What is left of each set to learn from, the queries to choose by, and a sentence that tells of them.

    A text that is kept apart is in no set, so that nothing that is asked was trained on.
    """
    first, *others = train
    keys = sorted(set(map(text_key, first.texts)))
    if len(keys) < 2:
        raise InputError("there is only one training query; give at least two, or a dev split")
    of_first = _drawn(keys, max(round(DEV_SHARE * len(keys)), 1), config)
    pool = sorted({text_key(text) for queries in others for text in queries.texts} - set(keys))
    of_others = _drawn(pool, max(min(FEW_DEV - len(of_first), round(DEV_SHARE * len(pool))), 0), config)
    dev = [_of_keys(first, of_first), *(_of_keys(queries, of_others) for queries in others)]
    left = [_of_keys(queries, set(map(text_key, queries.texts)) - of_first - of_others) for queries in train]
    taken: set[str] = set()
    query_ids = []
    for n, queries in enumerate(dev):
        query_ids += [f"{n}/{id}" if id in taken else id for id in queries.query_ids]
        taken.update(queries.query_ids)
    whole = Queries(
        tuple(query_ids),
        tuple(text for queries in dev for text in queries.texts),
        tuple(grades for queries in dev for grades in queries.relevant),
        joined_ids=dev[0].joined_ids,
    )
    told = f"{len(dev[0]):,} of the training queries" + (
        f" and {len(whole) - len(dev[0]):,} others" if of_others else ""
    )
    return left, whole, f"there are no dev queries, so {told} are kept apart to choose by"


def _drawn(keys: Sequence[str], n: int, config: FinetuneConfig) -> set[str]:
    order = np.random.default_rng(config.seed).permutation(len(keys))
    return {keys[place] for place in order[:n].tolist()}


def _of_keys(queries: Queries, keys: Container[str]) -> Queries:
    return queries.select(n for n, text in enumerate(queries.texts) if text_key(text) in keys)


def _sample(n: int, config: FinetuneConfig) -> np.ndarray:
    return np.sort(np.random.default_rng(config.seed).permutation(n)[: config.dev_queries])


def _dev(task: Task, finetuned: Finetuned, config: FinetuneConfig) -> float:
    hits = task.ask(finetuned, task.dev_questions, parse_metric(config.dev_metric).k)
    return task.dev_questions.judged([[hit.doc_id for hit in each] for each in hits], config.dev_metric)
