"""What fine-tuning learns from: by hand which pairs there are, what they weigh, and what is kept apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmindexer.config import FinetuneConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.questions.queries import Queries
from lmindexer.questions.questions import Questions
from lmindexer.questions.recommend_task import RecommendTask
from lmindexer.questions.search_task import SearchTask
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.settings import parse

TEXTS = {"a": "red rose", "b": "drum", "c": "storm", "d": "pan"}
CORPUS = Corpus.from_documents(Document(*each) for each in TEXTS.items())
TRAIN = Queries(("q1", "q2"), ("one", "two"), ({"b": 2.0, "a": 1.0}, {"d": 3.0}), ("left out",))
DEV = Queries(("q3",), ("three",), ({"c": 1.0},))


def config(**settings: Any) -> FinetuneConfig:
    return parse(FinetuneConfig, settings)


def pairs(task: SearchTask) -> list[tuple[int, str, float]]:
    found = zip(task.source.tolist(), task.target.tolist(), task.weight.tolist(), strict=True)
    return [(source, CORPUS.doc_ids[row], weight) for source, row, weight in found]


def test_a_pair_for_every_relevant_document_weighed_by_its_grade():
    task = SearchTask([TRAIN], {"train": TRAIN, "dev": DEV}, CORPUS, config(document_share=0))
    assert pairs(task) == [(0, "b", 1.0), (0, "a", 0.5), (1, "d", 1.0)]
    assert task.documents == 0
    assert task.notes == ("left out",)
    assert task.queries == {"train": TRAIN, "dev": DEV}


def test_documents_answer_themselves_behind_the_queries():
    task = SearchTask([TRAIN], {"train": TRAIN, "dev": DEV}, CORPUS, config(document_share=0.5))
    assert pairs(task)[3:] == [(2, "a", 1.0), (3, "b", 1.0), (4, "c", 1.0), (5, "d", 1.0)]
    assert task.documents == 4, "an epoch draws its share of all of them"


def test_several_sets_of_queries_are_learned_together():
    made = Queries(("1",), ("made up",), ({"c": 1.0},), ("also left out",))
    task = SearchTask([TRAIN, made], {"train": TRAIN, "dev": DEV}, CORPUS, config(document_share=0))
    assert pairs(task)[3:] == [(2, "c", 1.0)]
    assert task.notes == ("left out", "also left out")


def numbered(n: int, word: str) -> Queries:
    """n queries of which none is another's text."""
    ids = tuple(map(str, range(n)))
    return Queries(ids, tuple(f"{word} {i}" for i in ids), tuple({"abcd"[i % 4]: 1.0} for i in range(n)))


def test_without_dev_queries_some_are_kept_apart_and_that_is_told():
    many, made = numbered(2000, "real"), numbered(20, "made")
    task = SearchTask([many, made], {"train": many, "test": DEV}, CORPUS, config(document_share=0))
    train, dev = task.queries["train"], task.queries["dev"]
    assert (len(train), len(dev)) == (1800, 200)
    assert sorted(train.texts + dev.texts) == sorted(many.texts)
    assert len(task.target) == 1800 + 20
    assert "no dev queries, so 200 of the training queries are kept apart" in task.notes[0]
    assert task.queries["test"] == DEV
    again = SearchTask([many, made], {"train": many, "test": DEV}, CORPUS, config(document_share=0))
    assert again.queries["dev"].query_ids == dev.query_ids


def test_those_that_people_asked_are_known_among_what_dev_was_filled_with():
    few, made = numbered(20, "real"), numbered(400, "made")
    task = SearchTask([few, made], {"train": few}, CORPUS, config(document_share=0))
    assert len(task.dev_questions) == 42
    assert [str(text)[:5] for text in task.real_dev_questions.asked] == ["real ", "real "]
    task = SearchTask([few, made], {"train": few, "dev": DEV}, CORPUS, config(document_share=0))
    assert task.real_dev_questions.asked == task.dev_questions.asked


@pytest.mark.parametrize(("made", "others"), [(400, 40), (5000, 198), (4, 0)])
def test_few_queries_are_not_chosen_by_alone(made: int, others: int):
    few, more = numbered(20, "real"), numbered(made, "made")
    task = SearchTask([few, more], {"train": few}, CORPUS, config(document_share=0))
    train, dev = task.queries["train"], task.queries["dev"]
    assert [sum(text.startswith(word) for text in dev.texts) for word in ("real", "made")] == [2, others]
    told = "2 of the training queries" + (f" and {others} others" if others else "")
    assert f"so {told} are kept apart" in task.notes[0]
    assert len(train) == 18, "pseudo-queries are not kept as training queries of the run"
    assert len(task.target) == 18 + made - others


def test_a_text_kept_apart_is_in_no_set():
    many, others = numbered(50, "both"), numbered(100, "others")
    same = Queries(tuple(f"1/{id}" for id in many.query_ids), many.texts, many.relevant)
    task = SearchTask([same, many, others], {"train": same}, CORPUS, config(document_share=0))
    dev = task.queries["dev"]
    assert len(task.target) == 2 * 45 + 90
    assert not set(dev.texts) & set(task.queries["train"].texts)
    assert len(set(dev.query_ids)) == len(dev) == 5 + 10, "ids of two sets do not meet"


def test_no_text_of_test_or_dev_is_learned_from_and_that_is_told():
    train = Queries(("q1", "q2", "q3"), ("one", "TEST", "Three"), ({"a": 1.0}, {"b": 1.0}, {"c": 1.0}))
    made = Queries(("1", "2"), ("made up", " test"), ({"c": 1.0}, {"a": 1.0}))
    test = Queries(("t",), ("test",), ({"d": 1.0, "not there yet": 1.0},))
    task = SearchTask([train, made], {"train": train, "dev": DEV, "test": test}, CORPUS, config(document_share=0))
    assert pairs(task) == [(0, "a", 1.0), (1, "c", 1.0)]
    assert task.queries["train"].texts == ("one",)
    assert (task.queries["dev"], task.queries["test"]) == (DEV, test)
    assert task.notes == (
        "2 of 3 training queries have the words of dev or test queries and are left out",
        "1 of 2 pseudo-queries have the words of dev or test queries and are left out",
    )


def test_dev_queries_that_no_document_answers_yet_are_kept_and_do_not_choose():
    dev = Queries(("q3", "q4"), ("three", "four"), ({"c": 1.0, "later": 1.0}, {"later": 1.0}))
    task = SearchTask([TRAIN], {"train": TRAIN, "dev": dev}, CORPUS, config(document_share=0))
    assert task.queries["dev"] == dev
    assert task.dev_questions == Questions(DEV.texts, DEV.relevant, DEV.query_ids)


def test_one_query_cannot_be_parted():
    with pytest.raises(InputError, match="only one training query; give at least two, or a dev split"):
        SearchTask([DEV], {}, CORPUS, config())


def test_the_fingerprint_is_of_all_that_is_learned_and_asked():
    def of(train: Queries = TRAIN, dev: Queries = DEV, **settings: Any) -> str:
        return SearchTask([train], {"train": train, "dev": dev}, CORPUS, config(**settings)).fingerprint

    other_text = Queries(TRAIN.query_ids, ("one", "2"), TRAIN.relevant)
    other_grade = Queries(TRAIN.query_ids, TRAIN.texts, ({"b": 2.0, "a": 2.0}, {"d": 3.0}))
    other_document = Queries(TRAIN.query_ids, TRAIN.texts, ({"b": 2.0, "a": 1.0}, {"c": 3.0}))
    assert of() == of()
    later = Queries(DEV.query_ids, DEV.texts, ({"c": 1.0, "not there yet": 1.0},))
    assert len({of(), of(other_text), of(other_grade), of(other_document), of(dev=later)}) == 5


def sequences(folder: Path, text: str) -> Path:
    (folder / "taken.txt").write_text(text)
    return folder / "taken.txt"


def task_of(path: Path, **settings: Any) -> RecommendTask:
    return RecommendTask(load_sequences(path, CORPUS.doc_ids), CORPUS, config(task="recommend", **settings))


def test_histories_and_what_came_next(tmp_path: Path):
    task = task_of(sequences(tmp_path, "u1 a b c d a\nu2 b c\nu3 d a b\n"))
    found = [(task.train.history(e).tolist(), int(task.target[e])) for e in task.source]
    assert found == [([0], 1), ([0, 1], 2), ([1], 2)], "the last two of u1 and u3 are held out"
    assert task.weight.tolist() == [1, 1, 1]
    assert task.documents == 0
    assert "1 of 3 users took fewer than 3 items" in task.notes[0]


def test_samples_are_drawn_of_each_user(tmp_path: Path):
    path = sequences(tmp_path, "u1 a b c d a b\nu2 b c d a\n")
    task = task_of(path, samples=5)
    assert np.bincount(task.train.user).tolist() == [5, 5]
    assert task.target.tolist() == task_of(path, samples=5).target.tolist()
    assert task.target.tolist() != task_of(path, samples=5, seed=1).target.tolist()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("u1 a b c\nu2 b c d\n", "no user took enough items to learn from; give sequences of at least 4 items"),
        ("u1 a b\nu2 b c\n", "no user took 3 items or more, so there is none to choose by"),
    ],
)
def test_too_short_sequences_are_refused(tmp_path: Path, text: str, told: str):
    with pytest.raises(InputError, match=told):
        task_of(sequences(tmp_path, text))


def test_one_text_is_never_in_both_parts():
    """One pair a line, several lines a text."""
    texts = tuple(f"word {n // 4}" for n in range(40))
    many = Queries(tuple(map(str, range(40))), texts, tuple({"abcd"[n % 4]: 1.0} for n in range(40)))
    task = SearchTask([many], {}, CORPUS, config())
    train, dev = set(task.queries["train"].texts), set(task.queries["dev"].texts)
    assert len(dev) == 1
    assert not train & dev
    with pytest.raises(InputError, match="only one training query"):
        SearchTask([many.select(range(4))], {}, CORPUS, config())


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"document_share": 3}, "document_share is a share from 0 to 1"),
        ({"task": "recommend", "encoder": "full"}, "encoder full has nothing to learn from"),
    ],
)
def test_settings_that_would_do_nothing_are_refused(settings: dict[str, Any], reason: str):
    with pytest.raises(InputError, match=reason):
        config(**settings)
