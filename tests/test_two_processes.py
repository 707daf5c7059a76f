"""Two real processes and one run folder: who writes waits or is refused, who reads sees old or new. No moment is one
of time: each process stops before the change of a file that the test names."""

import json
from pathlib import Path

import pytest

from command_line import Answer, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.indexers.store import documents_and_ids
from lmindexer.runs import Run
from stepped import Stepped

RANDOM = ("--indexer", "random", "--sizes", "4,4", "--device", "cpu", "--quiet")


def documents(name: str, count: int) -> Corpus:
    return Corpus.from_documents(Document(f"{name}{n}", f"{name} old rose {n}") for n in range(count))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    learned(write_items(documents("first", 20), tmp_path / "first.jsonl"), "--out", tmp_path / "run", *RANDOM[:2])
    return tmp_path / "run"


def written(answer: Answer) -> list[dict[str, object]]:
    assert answer.code == 0, answer.err
    return [json.loads(line) for line in answer.out.splitlines()]


def test_two_adds_at_once_add_both(run: Path, tmp_path: Path):
    files = [write_items(documents(name, 10), tmp_path / f"{name}.jsonl") for name in ("left", "right")]
    with Stepped(run, "add", run, files[0]) as first, Stepped(run, "add", run, files[1]) as second:
        first.until("os.rename", "run.json")  # all is written, but nobody sees it
        second.until("open", ".lock")
        second.go()  # and waits, or does all it has to do
        answers = [first.end(), second.end()]
    assert [code for code, _, _ in answers] == [0, 0], answers
    corpus, ids = documents_and_ids(Run.open(run))
    ids.check()
    assert len(corpus) == 40
    for _, out, _ in answers:
        assert all(ids[line["id"]] == tuple(line["codes"]) for line in map(json.loads, out.splitlines()))
    assert lmindexer("check", run).code == 0


def test_of_two_that_learn_in_one_folder_the_second_is_refused(tmp_path: Path):
    items, out = write_items(documents("item", 20), tmp_path / "items.jsonl"), tmp_path / "run"
    with Stepped(out, "learn", items, "--out", out, *RANDOM) as first:
        first.until("os.rename", "run.json")  # of an empty folder
        for more in ((), ("--resume",)):
            answer = lmindexer("learn", items, "--out", out, *RANDOM, *more)
            assert (answer.code, answer.err) == (
                2,
                f"lmindexer: another process is writing to {out}; wait until it has ended, stop it, or choose another "
                "folder\n",
            )
        assert first.end()[0] == 0
    assert len(written(lmindexer("export", out))) == 20


def test_who_reads_while_documents_come_sees_all_of_them_or_none(run: Path, tmp_path: Path):
    items = write_items(documents("later", 10), tmp_path / "later.jsonl")
    seen = []
    with Stepped(run, "add", run, items) as process:
        for _ in process.moments():
            corpus, ids = documents_and_ids(Run.open(run))
            found = {line["id"] for line in written(lmindexer("export", run))}
            words = ("search", run, "rose", "-k", "30", "--method", "bm25", "--format", "jsonl")
            assert corpus.doc_ids == ids.doc_ids
            assert found == set(ids) == {line["id"] for line in written(lmindexer(*words))}
            seen.append(len(ids))
        assert process.end()[0] == 0
    assert seen == sorted(seen)
    assert set(seen) <= {20, 30}
    assert seen[0] == 20
    assert len(written(lmindexer("export", run))) == 30
