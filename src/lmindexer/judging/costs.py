"""What an answer costs: numbers in the networks that give it, and time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import monotonic
from typing import Any

from torch import nn

from lmindexer.judging.evaluation import AT_ONCE
from lmindexer.methods.retriever import Retriever
from lmindexer.questions.questions import Question

ALONE = 32  # questions asked one by one
PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True)
class Cost:
    """Of one method that is open."""

    parameters: int  # in networks, each once; vectors and counts of documents are none
    alone: float  # median milliseconds of a question asked by itself
    together: float  # milliseconds a question, asked in parts of AT_ONCE


def cost_of(retriever: Retriever, questions: Sequence[Question], k: int) -> Cost:
    """Measure on these questions, the first ALONE of them one by one; the first call of all is not counted."""
    retriever.answer(questions[:1], k)
    one_by_one = [seconds_of(retriever, [question], k) for question in questions[:ALONE]]
    together = seconds_of(retriever, questions, k) / len(questions)
    return Cost(parameters_of(retriever), 1000 * median(one_by_one), 1000 * together)


def seconds_of(retriever: Retriever, questions: Sequence[Question], k: int) -> float:
    """How long it takes to answer these questions, AT_ONCE at once."""
    began = monotonic()
    for at in range(0, len(questions), AT_ONCE):
        retriever.answer(questions[at : at + AT_ONCE], k)
    return monotonic() - began


def parameters_of(retriever: Retriever) -> int:
    """How many numbers the networks have that a method holds, wherever it holds them; what is shared counts once."""
    found: dict[int, int] = {}
    seen: set[int] = set()
    left: list[Any] = [retriever]
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, nn.Module):
            found |= {id(parameter): parameter.numel() for parameter in part.parameters()}
        else:
            left += _parts_of(part)
    return sum(found.values())


def _parts_of(part: Any) -> Iterable[Any]:
    """What a container holds, a retriever, or a thing of this package."""
    if isinstance(part, Mapping):
        return part.values()
    if isinstance(part, list | tuple):
        return part
    ours = isinstance(part, Retriever) or type(part).__module__.startswith(PACKAGE)
    return vars(part).values() if ours and hasattr(part, "__dict__") else ()
