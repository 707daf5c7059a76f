"""Documents that fine-tuning holds out: who they are, what is found with them, and that they are not lost."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.changes import add_documents
from lmindexer.methods.generative import sequences, teachable, warm_up
from lmindexer.methods.generative.finetuned import FinetunedRetriever
from lmindexer.methods.generative.folder import load
from lmindexer.methods.generative.teachable import as_added
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.questions.queries import Queries
from lmindexer.questions.questions import TEXT, Questions
from lmindexer.questions.search_task import SearchTask
from lmindexer.runs import Run
from lmindexer.settings import parse
from lmindexer.teaching import calibration, train
from lmindexer.teaching.calibration import Calibration, Trial, calibrate, kept_out
from lmindexer.teaching.fine_tuning import finetune
from small_tasks import QUICK, QUIET, learn, write_queries, write_sequences


class Pairs:
    """A task as far as its pairs go; the last `documents` are documents and themselves."""

    def __init__(self, target: list[int], documents: int = 0) -> None:
        self.target, self.documents = np.array([*target, *range(documents)]), documents


def config_of(**settings: Any) -> FinetuneConfig:
    return parse(FinetuneConfig, {"dev_metric": "recall@2"} | settings)


@pytest.mark.parametrize(
    ("pool", "share", "size"),
    [(10_000, 0.02, 200), (100_000, 0.02, 300), (1000, 0.02, 30), (1000, 0.1, 100), (200, 0.02, 30)],
)
def test_a_share_of_the_documents_that_are_asked_for(pool: int, share: float, size: int):
    task = Pairs([3 * row for row in range(pool)] * 2, documents=5 * pool)
    rows, note = kept_out(task, 5 * pool, config_of(held_out=share))
    assert (len(rows), note) == (size, "")
    assert (np.diff(rows) > 0).all()
    assert (rows % 3 == 0).all()
    assert kept_out(task, 5 * pool, config_of(held_out=share))[0].tolist() == rows.tolist()
    assert kept_out(task, 5 * pool, config_of(held_out=share, seed=5))[0].tolist() != rows.tolist()


def test_where_few_are_asked_for_any_that_is_read():
    rows, note = kept_out(Pairs([1, 2, 3], documents=1000), 1000, config_of())
    assert (len(rows), note) == (30, "")
    for task, settings, told in (
        (Pairs([1, 2, 3]), {}, "too few documents to hold 30 out, .* not favoured"),
        (Pairs(list(range(199)), documents=199), {}, "too few documents to hold 30 out"),
        (Pairs(list(range(5000))), {"held_out": 0.0}, "no document is held out, .* not favoured"),
    ):
        rows, note = kept_out(task, 199, config_of(**settings))
        assert len(rows) == 0
        assert re.search(told, note)


def test_a_share_of_all_or_more_is_refused():
    with pytest.raises(InputError, match="held_out must be below 1, not 1"):
        config_of(held_out=1.0)


# The choice, by hand


def of(*trials: tuple[float, float, float, float, float], share: float = 0.1) -> Calibration:
    return Calibration(tuple(Trial(*trial) for trial in trials), share)


def test_the_best_for_all_questions_that_takes_no_more_than_its_share():
    plain, one, two = (0.0, 0.50, 0.0, 0.0, 0.01), (1.0, 0.50, 0.4, 0.05, 0.1), (2.0, 0.49, 0.6, 0.09, 0.1)
    # .9 * .50 + .1 * 0 = .45; .45 + .04 = .49; .441 + .06 = .501
    assert of(plain, one, two).chosen.novelty == 2.0
    assert of(plain, one, two, share=0.01).chosen.novelty == 0.0, "both take more places than 1 %"
    first = (2.0, 0.49, 0.9, 0.11, 0.1)
    assert of(plain, one, first).chosen.novelty == 1.0, "one is first too often"
    flat = (3.0, 0.49, 0.6, 0.09, 0.1)
    assert of(plain, one, two, flat).chosen.novelty == 2.0, "of equal ones the lowest"
    costly = (2.0, 0.40, 0.6, 0.09, 0.1)
    assert of(plain, one, costly).chosen.novelty == 1.0, "what it costs the known ones counts nine times"
    assert of((0.0, 0.5, 0.0, 0.3, 0.3), (1.0, 0.5, 0.1, 0.3, 0.3)).chosen.novelty == 1.0, "as much as unfavoured"


def test_it_is_kept_whole_and_told():
    found = of((0.0, 0.5, 0.0, 0.0, 0.01), (1.5, 0.5, 0.25, 0.05, 0.1))
    assert Calibration.of(found.array) == found
    assert found.to_dict() == {
        "novelty": 1.5,
        "share_of_questions": 0.1,
        "known": {"without": 0.5, "with": 0.5},
        "held_out": {"without": 0.0, "with": 0.25},
        "first_places": {"without": 0.0, "with": 0.05},
    }
    assert found.summary(40, "recall@10") == (
        "novelty 1.5: recall@10 of 40 held-out documents 0.250 instead of 0.000, of known ones 0.500 instead of 0.500; "
        "held-out ones take 5.0% of the first places, and are the answer to 10.0% of the questions"
    )


class Scripted(Pairs):
    """Documents a and b are held out; from 2 nats on they are found, from 3 on they push out others."""

    dev_questions = Questions(("c?", "a?", "d?", "both?"), ({"c": 1.0}, {"a": 1.0}, {"d": 1.0}, {"c": 1.0, "b": 1.0}))

    def __init__(self) -> None:
        super().__init__([0, 1, *[2] * 4, *[3] * 4])

    def questions_of(self, rows: np.ndarray) -> Questions:
        assert rows.tolist() == [0, 1]
        return Questions(("b?",), ({"b": 1.0},))


class ScriptedRetriever(Retriever):
    reads, doc_ids, settings = (TEXT,), "abcde", {}

    def __init__(self, novelty: float) -> None:
        self.novelty = novelty

    def _answer(self, questions: list[Any], kind: str, k: int, rows: object) -> list[list[Hit]]:
        assert k == 2
        right = {"a?": "a", "b?": "b", "c?": "c", "d?": "d"}
        lists = []
        for asked in questions:
            favoured = asked in ("a?", "b?") and self.novelty >= 2
            first = right[asked] if asked in ("c?", "d?") or favoured else "c"
            second = "a" if self.novelty >= 3 and first != "a" else "e"
            lists.append([Hit(first, 0.0), Hit(second, -1.0)])
        return lists


class ScriptedModel:
    config = config_of()
    corpus = Corpus.from_documents(Document(name, name) for name in "abcde")

    def retriever_with_later(self, rows: np.ndarray, novelty: float) -> ScriptedRetriever:
        assert rows.tolist() == [0, 1]
        return ScriptedRetriever(novelty)


def test_what_is_tried_by_hand():
    found = calibrate(ScriptedModel(), Scripted(), np.array([0, 1]))  # type: ignore[arg-type]
    assert found.share == pytest.approx(0.2), "two of ten pairs"
    by_novelty = {trial.novelty: trial for trial in found.trials}
    assert by_novelty[0.0] == Trial(0.0, 1.0, 0.0, 0.0, 0.0)
    # of the questions that held-out ones answer, .2 of all, each now has its own at the first of two places
    assert by_novelty[2.0] == Trial(2.0, 1.0, 1.0, pytest.approx(0.2), pytest.approx(0.1))
    # a is also second to c, d and b: .8 * 1/2 and .2 * 3/4
    assert by_novelty[3.0] == Trial(3.0, 1.0, 1.0, pytest.approx(0.2), pytest.approx(0.4 + 0.15))
    assert found.chosen.novelty == 2.0


def test_held_out_documents_have_the_ids_of_later_ones():
    ids = IdTable(tuple("abcde"), np.array([[0], [0], [0], [1], [1]], np.int32), (2,)).with_suffix()
    table = as_added(ids, np.array([0, 1]))
    assert table.doc_ids == ids.doc_ids
    assert table.paths.tolist() == [[0, 3], [0, 4], [0, 2], [1, 0], [1, 1]], "as if a and b had come after c"


# Whole runs, with so few documents held out that a small corpus has enough


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    write_queries(folder / "queries.jsonl")
    write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    return folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "FEWEST", 6)


def data_of(home: Path, task: str) -> dict[str, Any]:
    if task == "search":
        return {"queries": home / "queries.jsonl", "rescore": False}
    return {"sequences": home / "taken.txt"}


def facts(run: Path) -> dict[str, Any]:
    return dict(Run(run).read_json("finetune.json"))


def scripted_dev(monkeypatch: pytest.MonkeyPatch, *values: float) -> None:
    found = list(values)
    monkeypatch.setattr(train, "dev_metric", lambda model, task: found.pop(0))


@pytest.mark.parametrize("task", ["search", "recommend"])
def test_nothing_is_learned_of_them_before_the_end(
    home: Path, few: None, task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every ID that is learned passes through `id_loss`: until the calibration none of theirs, and after it all."""
    learned: dict[str, set[tuple[int, ...]]] = {"before": set(), "after": set()}
    rows: list[int] = []
    when = ["before"]

    def watched(finetuned: Any, memory: Any, codes: torch.Tensor, weight: Any) -> torch.Tensor:
        learned[when[0]] |= set(map(tuple, codes.tolist()))
        return real_loss(finetuned, memory, codes, weight)

    def calibrated(finetuned: Any, of: Any, later: np.ndarray) -> Calibration:
        when[0] = "after"
        rows.extend(later.tolist())
        return real_calibrate(finetuned, of, later)

    def watched_sequences(finetuned: Any, memory: Any, codes: torch.Tensor, weight: Any) -> torch.Tensor:
        learned[when[0]] |= set(map(tuple, codes.tolist()))
        return real_loss_of(finetuned, memory, codes, weight)

    real_loss, real_calibrate, real_loss_of = teachable.id_loss, train.calibrate, sequences.id_loss
    monkeypatch.setattr(sequences, "id_loss", watched_sequences)
    monkeypatch.setattr(teachable, "id_loss", watched)
    monkeypatch.setattr(warm_up, "id_loss", watched)
    monkeypatch.setattr(train, "calibrate", calibrated)
    how = data_of(home, task) | QUICK | {"epochs": 2}
    finetune(home / "run", tmp_path / "out", **how, progress=QUIET)
    paths = [tuple(path) for path in load(tmp_path / "out").ids.paths.tolist()]
    held = {paths[row] for row in rows}
    assert len(held) == 6
    assert learned["before"] == set(paths) - held
    assert learned["after"] == set(paths)
    assert facts(tmp_path / "out")["documents_held_out"] == 6


@pytest.mark.parametrize(
    ("closing", "kept"), [((0.4, 0.6), True), ((0.6, 0.4), True), ((0.5, 0.4), True), ((0.4, 0.4), False)]
)
def test_they_are_known_at_the_end_unless_that_costs_the_others(
    home: Path, few: None, closing: tuple[float, float], kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scripted_dev(monkeypatch, 0.3, 0.5, *closing)
    how = data_of(home, "recommend") | QUICK | {"epochs": 2}
    finetune(home / "run", tmp_path / "out", **how, progress=QUIET)
    found, told = load(tmp_path / "out"), facts(tmp_path / "out")
    assert len(found.new) == told["documents_left_out"] == (0 if kept else 6)
    assert told["best"] == pytest.approx(max(*closing, 0.5))
    assert found.novelty == told["novelty"]


def test_a_run_keeps_its_value_and_uses_it(home: Path, few: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    chosen = of((0.0, 0.5, 0.0, 0.0, 0.01), (1.5, 0.5, 0.25, 0.05, 0.1))
    monkeypatch.setattr(train, "calibrate", lambda finetuned, task, rows: chosen)
    finetune(home / "run", tmp_path / "out", **data_of(home, "recommend"), **QUICK, progress=QUIET)
    assert facts(tmp_path / "out").items() >= chosen.to_dict().items()
    later = ("storm", "a violin in the kitchen", "anchor and mast", "old rose", "plate", "hail in the garden")
    add_documents(tmp_path / "out", Corpus.from_documents(Document(f"new {text}", text) for text in later))
    found = load(tmp_path / "out")
    as_kept, as_told, without = (
        FinetunedRetriever(found, score="ids", **how) for how in ({}, {"novelty": 1.5}, {"novelty": 0.0})
    )
    histories = [["doc1"], ["doc3", "doc9"]]
    assert as_kept.recommend(histories, 86) == as_told.recommend(histories, 86)
    assert as_kept.recommend(histories, 86) != without.recommend(histories, 86)


def test_too_few_documents_are_told(home: Path, tmp_path: Path):
    finetune(home / "run", tmp_path / "out", **data_of(home, "search"), **QUICK, progress=QUIET)
    told = facts(tmp_path / "out")
    assert (told["novelty"], load(tmp_path / "out").novelty) == (0.0, 0.0)
    assert "there are too few documents to hold 30 out" in told["notes"][-1]


def test_parts_of_their_own_texts_where_nobody_asked(corpus: Corpus):
    relevant = ({"doc3": 1.0}, {"doc3": 1.0, "doc4": 1.0}, {"doc5": 1.0}, {"doc9": 1.0})
    asked = Queries(("1", "2", "3", "4"), ("pan", "oven", "rose", "violin"), relevant)
    pseudo = Queries(("5",), ("violin",), ({"doc8": 1.0},))
    dev = Queries(("6",), ("storm",), ({"doc6": 1.0},))
    task = SearchTask([asked, pseudo], {"dev": dev}, corpus, config_of())
    found = task.questions_of(np.array([3, 5, 9]))
    told = dict(zip(found.asked, found.relevant, strict=True))
    assert told.pop("pan") == {"doc3": 1.0}
    assert told.pop("rose") == {"doc5": 1.0}
    ((part, relevant),) = told.items()
    assert relevant == {"doc9": 1.0}, "violin was trained on for doc8, as oven was for doc4"
    assert part in " ".join(corpus[9].text.split())


# Flooding


def first_places(run: Path, histories: list[list[str]], novelty: float, new: set[str]) -> dict[str, float]:
    """Of how many histories each of the new documents is the first answer."""
    lists = FinetunedRetriever(load(run), novelty=novelty).recommend(histories, 1)
    return {doc_id: sum(hits[0].doc_id == doc_id for hits in lists) / len(lists) for doc_id in new}


@pytest.mark.parametrize("novelty", [0.0, 3.0, 100.0])
def test_two_that_come_later_do_not_flood(home: Path, corpus: Corpus, novelty: float, tmp_path: Path):
    """A recommender that has learned little gives every user about the same, where new ones were first for 44 %."""
    finetune(home / "run", tmp_path / "out", **data_of(home, "recommend"), **(QUICK | {"epochs": 3}), progress=QUIET)
    later = {"new1": "the orchestra of a far away town", "new2": "parliament and law"}
    add_documents(tmp_path / "out", Corpus.from_documents(Document(*each) for each in later.items()))
    histories = [[doc_id] for doc_id in corpus.doc_ids]
    shares = first_places(tmp_path / "out", histories, novelty, set(later))
    assert max(shares.values()) <= 3 / len(corpus), shares
