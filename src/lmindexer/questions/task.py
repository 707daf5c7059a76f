"""What is learned from and chosen by: pairs of a question and the document that answers it."""

import hashlib
from collections.abc import Iterable
from typing import Protocol

import numpy as np

from lmindexer.questions.questions import Questions


class Task(Protocol):
    """Pairs e of a question `source[e]` and the row `target[e]` of a document that answers it.

    The last `documents` pairs are documents and themselves; of these an epoch takes only a share.
    """

    kind: str  # of the questions
    source: np.ndarray  # (E,)
    target: np.ndarray  # (E,) rows of the corpus
    weight: np.ndarray  # (E,) float32, above 0: the grade of the answer
    documents: int
    notes: tuple[str, ...]
    fingerprint: str  # the same for the same data
    dev_questions: Questions

    def questions_of(self, rows: np.ndarray) -> Questions:
        """Questions that these documents answer and no other: those of training pairs, or else parts of their texts."""
        ...


def fingerprint_of(texts: Iterable[str], *arrays: np.ndarray) -> str:
    """A digest of the data of a task."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (*(text.encode() for text in texts), *(array.tobytes() for array in arrays)):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def sample(n: int, most: int, seed: int) -> np.ndarray:
    """At most so many of n places, drawn at random, ascending."""
    return np.sort(np.random.default_rng(seed).permutation(n)[:most])
