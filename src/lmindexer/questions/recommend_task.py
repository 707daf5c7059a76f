"""The task of recommending: a user's history -> the item taken next."""

import numpy as np

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.questions.questions import HISTORY, Questions
from lmindexer.questions.sequences import Sequences, held_out, next_items, training_examples
from lmindexer.questions.task import fingerprint_of, sample


class RecommendTask:
    """A `Task` of histories; pair e is the e-th of `train`."""

    kind = HISTORY
    documents = 0

    def __init__(self, sequences: Sequences, corpus: Corpus, config: FinetuneConfig) -> None:
        self.sequences, self.corpus, self.notes = sequences, corpus, sequences.notes
        self.train = training_examples(sequences, config.samples, config.seed)
        if not len(self.train):
            raise InputError("no user took enough items to learn from; give sequences of at least 4 items")
        self.source, self.target = np.arange(len(self.train)), self.train.target
        self.weight = np.ones(len(self.train), np.float32)
        dev = held_out(sequences, "dev")
        if not len(dev):
            raise InputError("no user took 3 items or more, so there is none to choose by; give longer sequences")
        self.fingerprint = fingerprint_of(sequences.users, sequences.rows, sequences.offsets, sequences.parts)
        self.dev_questions = next_items(dev.select(sample(len(dev), config.dev_queries, config.seed)), corpus.doc_ids)

    def questions_of(self, rows: np.ndarray) -> Questions:
        """As `Task.questions_of`."""
        chosen = np.flatnonzero(np.isin(self.target, rows))
        return next_items(self.train.select(chosen), self.corpus.doc_ids)
