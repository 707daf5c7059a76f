"""How far a document that comes after fine-tuning has to be favoured: found on documents kept out of training.

A small share of the documents is left out of all training. When it is done they are put into the tree as `lmindexer
add` would, and questions that they answer are asked beside dev questions that others do. Of a few values the one that
serves both best is kept, if new documents then take no more places than it is their share to.
"""

from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmindexer.config import FinetuneConfig
from lmindexer.evaluation.metrics import parse_metric
from lmindexer.methods.teachable import Teachable
from lmindexer.questions.task import Task

FEWEST, MOST = 30, 300  # documents kept out
MOST_SHARE = 0.15  # of the documents that could be, or training would miss them
QUESTIONS = 500  # of either kind at most, so that it takes about the time of a few looks at dev
NOVELTIES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)  # nats


def kept_out(task: Task, documents: int, config: FinetuneConfig) -> tuple[np.ndarray, str]:
    """Rows (H,) of the documents kept out of training, ascending, and a note where there are none.

    Drawn among those that a training pair has for its answer; where these are too few and all documents are read,
    among all.
    """
    if not config.held_out:
        return np.empty(0, np.int64), "no document is held out, so documents that come later are not favoured"
    pools = [np.unique(task.target[: len(task.target) - task.documents])]
    if task.documents:
        pools.append(np.arange(documents))
    for pool in pools:
        size = min(max(round(config.held_out * len(pool)), FEWEST), MOST)
        if size <= MOST_SHARE * len(pool):
            return np.sort(np.random.default_rng([config.seed, 1]).choice(pool, size, replace=False)), ""
    reason = f"there are too few documents to hold {FEWEST} out"
    return np.empty(0, np.int64), f"{reason}, so documents that come later are not favoured (novelty 0)"


@dataclass(frozen=True)
class Trial:
    """One novelty, tried: the metric of questions that known and held-out documents answer, and places taken."""

    novelty: float  # nats
    known: float
    new: float
    first: float  # share of first places that held-out documents take, of questions in their natural proportion
    places: float  # the same of the first k places, k being the metric's


@dataclass(frozen=True)
class Calibration:
    """What was tried, with novelty 0 first; `share` of all questions are answered by held-out documents."""

    trials: tuple[Trial, ...]
    share: float

    @property
    def chosen(self) -> Trial:
        """The best by the metric over questions in their natural proportion; of equal ones the lowest novelty.

        Held-out documents may not take more of the first places, nor of the first k, than their share, but for what
        they take without being favoured.
        """
        plain = self.trials[0]
        fair = [
            trial
            for trial in self.trials
            if trial.first <= max(self.share, plain.first) and trial.places <= max(self.share, plain.places)
        ]
        return max(fair, key=lambda trial: ((1 - self.share) * trial.known + self.share * trial.new, -trial.novelty))

    @property
    def array(self) -> Tensor:
        """All of it, as a checkpoint keeps it: (trials, 6) float64."""
        return torch.tensor([[*astuple(trial), self.share] for trial in self.trials], dtype=torch.float64)

    @classmethod
    def of(cls, array: Tensor) -> "Calibration":
        """From its `array`."""
        return cls(tuple(Trial(*row[:-1]) for row in array.tolist()), float(array[0, -1]))

    def summary(self, documents: int, metric: str) -> str:
        """In one line."""
        plain, chosen = self.trials[0], self.chosen
        return (
            f"novelty {chosen.novelty:g}: {metric} of {documents} held-out documents {chosen.new:.3f} instead of "
            f"{plain.new:.3f}, of known ones {chosen.known:.3f} instead of {plain.known:.3f}; held-out ones take "
            f"{chosen.first:.1%} of the first places, and are the answer to {self.share:.1%} of the questions"
        )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        plain, chosen = self.trials[0], self.chosen
        return {
            "novelty": chosen.novelty,
            "share_of_questions": round(self.share, 7),
            "known": {"without": round(plain.known, 7), "with": round(chosen.known, 7)},
            "held_out": {"without": round(plain.new, 7), "with": round(chosen.new, 7)},
            "first_places": {"without": round(plain.first, 7), "with": round(chosen.first, 7)},
        }


def calibrate(model: Teachable, task: Task, rows: np.ndarray) -> Calibration:
    """Try novelties on a model that was taught without the documents `rows`."""
    config, doc_ids = model.config, model.corpus.doc_ids
    k = parse_metric(config.dev_metric).k
    held = {doc_ids[row] for row in rows.tolist()}
    dev = task.dev_questions
    known = dev.select([n for n, grades in enumerate(dev.relevant) if not held & grades.keys()])
    new = dev.select([n for n, grades in enumerate(dev.relevant) if held >= grades.keys()])
    known, new = (
        known.sample(QUESTIONS, config.seed),
        new.joined(task.questions_of(rows)).sample(QUESTIONS, config.seed),
    )
    asked = task.target[: len(task.target) - task.documents]
    share = float(np.isin(asked, rows).mean()) or len(rows) / len(doc_ids)
    trials = list[Trial]()
    for novelty in NOVELTIES:
        retriever = model.retriever_with_later(rows, novelty)
        values, first, places = [], [], []
        for questions in (known, new):
            lists = [[hit.doc_id for hit in hits] for hits in retriever.answer(questions.asked, k)]
            values.append(questions.judged(lists, config.dev_metric))
            taken = np.array([[doc_id in held for doc_id in found] + [False] * (k - len(found)) for found in lists])
            first.append(taken[:, 0].mean())
            places.append(taken.mean())
        in_proportion = [float((1 - share) * of_known + share * of_new) for of_known, of_new in (first, places)]
        trials.append(Trial(novelty, *values, *in_proportion))
        if Calibration(tuple(trials), share).chosen.novelty < novelty and in_proportion[0] > share:
            break  # more would only take more
    return Calibration(tuple(trials), share)
