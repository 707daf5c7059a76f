"""What an answer costs: every parameter once, wherever a method holds it, and time of the questions that are asked."""

from typing import Any

import numpy as np
import pytest
from torch import nn

from lmindexer.judging import costs
from lmindexer.judging.costs import cost_of, parameters_of, seconds_of
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.questions.questions import TEXT


class Holder:
    """As a fine-tuned model of the package holds its networks."""

    __module__ = "lmindexer.methods.made_up"

    def __init__(self, network: nn.Module) -> None:
        self.network, self.name = network, "holder"


class Network(Retriever):
    """A retriever with networks in a list, a dataclass, a mapping and another retriever; some are the same."""

    reads = (TEXT,)

    def __init__(self) -> None:
        self.doc_ids, self.settings = ("a", "b"), {}
        self.shared = nn.Linear(3, 2)  # 8
        self.parts = [self.shared, Holder(nn.Linear(2, 2, bias=False))]  # 4
        head, embedding = nn.Linear(2, 5, bias=False), nn.Embedding(5, 2)  # 10
        head.weight = embedding.weight
        self.by_name = {"shared": self.shared, "head": head, "embedding": embedding}
        self.asked: list[list[str]] = []

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        self.asked.append(questions)
        return [[Hit("a", 1.0)] for _ in questions]


class Around(Network):
    """One around another, as hybrid is."""

    def __init__(self) -> None:
        super().__init__()
        self.partner = Network()


def test_parameters_by_hand():
    assert parameters_of(Network()) == 8 + 4 + 10
    assert parameters_of(Around()) == 2 * (8 + 4 + 10)


def test_the_first_call_is_not_counted_and_all_questions_are_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(costs, "AT_ONCE", 3)
    monkeypatch.setattr(costs, "ALONE", 2)
    monkeypatch.setattr(costs, "monotonic", iter([0.0, 1.0, 10.0, 13.0, 20.0, 25.0]).__next__)
    retriever = Network()
    found = cost_of(retriever, ["u", "v", "w", "x", "y"], 1)
    assert retriever.asked == [["u"], ["u"], ["v"], ["u", "v", "w"], ["x", "y"]]
    assert (found.alone, found.together) == (2000.0, 1000.0)  # of 1 and 3 seconds, and of 5 seconds for 5


def test_parts_of_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(costs, "AT_ONCE", 2)
    retriever = Network()
    assert seconds_of(retriever, ["u", "v", "w"], 1) >= 0
    assert retriever.asked == [["u", "v"], ["w"]]
