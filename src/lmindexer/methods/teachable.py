"""What can be taught: the face that a model has for the one loop that teaches (section 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.devices import choose_bf16
from lmindexer.methods.retriever import Retriever
from lmindexer.progress import Progress
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.training import Trainer, TrainingState


@dataclass
class TeachingState(TrainingState):
    """What teaching at several rates has found so far; all are scalars but `calibration`."""

    agreement: Tensor | None = None  # of the model with the IDs, before the task
    stale: Tensor | None = None  # epochs since the best one, at the present rate
    best_here: Tensor | None = None  # dev metric, at the present rate
    best: Tensor | None = None  # dev metric, at all rates; the two below are of that epoch
    best_rate: Tensor | None = None
    best_epoch: Tensor | None = None
    calibration: Tensor | None = None  # as `Calibration.array`
    all_known: Tensor | None = None  # whether the documents that were held out are known now


@dataclass(frozen=True)
class Lesson:
    """What is read of the questions of a task, and what is minimised over E pairs of a question and its answer."""

    lengths: np.ndarray  # (E,) how much is read of each pair's question
    tokens: int | None  # a step reads at most so many of these; None: any number
    epoch: Callable[[np.random.Generator], np.ndarray]  # the pairs of an epoch
    losses: Callable[[np.ndarray], dict[str, Tensor]]  # of some pairs: "loss" is minimised, all are logged
    batches: Callable[[np.ndarray, np.random.Generator], list[np.ndarray]] | None = None  # of them; None: by length


@runtime_checkable
class Choosable(Protocol):
    """A method with a few settings and no weights: `teaching.choose` keeps those that are best on dev."""

    config: FinetuneConfig

    def unseen(self, task: Task) -> list[str]:
        """Notes on what it does not see of the task's questions."""
        ...

    @property
    def grid(self) -> Sequence[dict[str, float]]:
        """Settings to choose from; of equally good ones the first are kept."""
        ...

    def retriever(self, **settings: float) -> Retriever:
        """The method as some of these settings make it."""
        ...


class Teachable(Protocol):
    """A model that begins to learn a task; whatever it is made of, it is taught by `teaching.train`."""

    config: FinetuneConfig
    later_documents: bool  # whether documents that came after it was taught may have to be favoured to be found

    @property
    def corpus(self) -> Corpus:
        """The documents that it finds, row by row."""
        ...

    @property
    def modules(self) -> nn.ModuleDict:
        """All that learns or is kept, by the names in the file of weights."""
        ...

    @property
    def frozen(self) -> frozenset[str]:
        """Names in `modules` of what never changes and is not kept in checkpoints."""
        ...

    @property
    def bf16(self) -> bool:
        """Whether it is taught in bfloat16."""
        ...

    def unseen(self, task: Task) -> list[str]:
        """Notes on what it does not see of the task's questions."""
        ...

    def prepare(self, trainer: Trainer[TeachingState], run: Run, progress: Progress, later: np.ndarray) -> None:
        """Stages before the task; of the documents `later` (rows) nothing is learned."""
        ...

    def include(self) -> None:
        """From here on the documents `later` of `prepare` are learned, too."""
        ...

    def lesson(self, task: Task, folder: Path, progress: Progress) -> Lesson:
        """What it learns of the task; `folder` is for large files that go when the process ends."""
        ...

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """AdamW groups of all that learns from the task."""
        ...

    def retriever(self, **how: Any) -> Retriever:
        """The model as it is, ready to be asked."""
        ...

    def retriever_with_later(self, rows: np.ndarray, novelty: float) -> Retriever:
        """The same if the documents `rows` had come after teaching, favoured by `novelty` nats."""
        ...

    def save(self, run: Run, later: np.ndarray) -> None:
        """Keep it in a run folder; the documents `later` (rows) were never learned."""
        ...


class OneStage:
    """The rest of `Teachable` for a model that is taught its task and nothing before it.

    A document that comes later needs no favour from it: it is found as all others are, or never.
    """

    config: FinetuneConfig
    device: torch.device
    later_documents = False
    frozen: frozenset[str] = frozenset()

    @property
    def bf16(self) -> bool:
        return choose_bf16(self.config.precision, self.device)

    def unseen(self, task: Task) -> list[str]:
        """As `Teachable.unseen`: nothing is told."""
        return []

    def prepare(self, trainer: Trainer[TeachingState], run: Run, progress: Progress, later: np.ndarray) -> None:
        """As `Teachable.prepare`: nothing."""

    def include(self) -> None:
        """As `Teachable.include`: nothing was held out."""

    def retriever_with_later(self, rows: np.ndarray, novelty: float) -> Retriever:
        """Never asked for: `later_documents` is False."""
        raise ValueError("no document is favoured by this method")
