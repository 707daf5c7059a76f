"""Versions of a run: whole or not there, one of them current at every moment, and the one before to go back to."""

import shutil
from pathlib import Path

import pytest

from command_line import learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.changes import add_documents
from lmindexer.indexers.store import documents_and_ids
from lmindexer.runs import Run
from lmindexer.runs.versions import current, folder_of, publish, rollback, versions_of
from stepped import Stepped


@pytest.fixture(scope="module")
def learned_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versions")
    items = Corpus.from_documents(Document(f"doc{n}", f"old rose {n}") for n in range(20))
    learned(write_items(items, folder / "items.jsonl"), "--out", folder / "run", "--indexer", "random")
    return folder / "run"


@pytest.fixture
def run(learned_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learned_run, tmp_path / "run"))


def documents_of(store: Path) -> int:
    """Of the version that is current, which must be whole."""
    corpus, _ = documents_and_ids(Run.open(folder_of(store)[0]))
    return len(corpus)


def test_a_version_is_published_and_taken_back(run: Path, tmp_path: Path):
    store = tmp_path / "store"
    answer = lmindexer("publish", run, "--to", store)
    assert (answer.code, answer.err) == (0, f"version 0001 of {store} is current\n")
    add_documents(run, Corpus.from_documents([Document("new", "a new rose")]))
    assert documents_of(store) == 20  # a version does not change
    assert publish(Run.open(run), store) == "0002"
    assert documents_of(store) == 21
    assert lmindexer("check", folder_of(store)[0]).code == 0
    assert lmindexer("rollback", store).err == f"version 0001 of {store} is current\n"
    assert documents_of(store) == 20
    assert publish(Run.open(run), store) == "0003"
    assert rollback(store) == "0002"
    assert rollback(store, "0003") == "0003"
    assert versions_of(store) == ["0001", "0002", "0003"]
    for arguments, sentence in (
        (("rollback", store, "0009"), "has no version '0009'; choose one of 0001, 0002, 0003"),
        (("rollback", run), "is no store of versions; make one with lmindexer publish"),
        (("publish", run, "--to", run), "exists already and is no store of versions"),
        (("publish", folder_of(store)[0], "--to", store), "is a version of"),
        (("publish", tmp_path / "none", "--to", store), "there is no run folder"),
    ):
        answer = lmindexer(*arguments)
        assert (answer.code, sentence in answer.err) == (2, True), answer
    assert rollback(store, "0001") == "0001"
    with pytest.raises(InputError, match="0001 is the first version"):
        rollback(store)


def test_at_every_moment_of_publishing_one_whole_version_is_current(run: Path, tmp_path: Path):
    """What a kill -9 at that moment would leave: the first version until the pointer is renamed, then the second."""
    store = tmp_path / "store"
    publish(Run.open(run), store)
    add_documents(run, Corpus.from_documents([Document("new", "a new rose")]))
    seen = []
    with Stepped(store, "publish", run, "--to", store) as publishing:
        for _ in publishing.moments():
            seen.append((current(store), documents_of(store)))
    assert len(seen) > 10
    assert set(seen) == {("0001", 20)}  # the rename of the pointer is the last change
    assert (current(store), documents_of(store)) == ("0002", 21)


def test_after_a_kill_the_next_version_is_published(run: Path, tmp_path: Path):
    store = tmp_path / "store"
    publish(Run.open(run), store)
    with Stepped(store, "publish", run, "--to", store) as publishing:
        publishing.until("os.rename", "0002")
        publishing.kill()
    assert (current(store), documents_of(store)) == ("0001", 20)
    assert publish(Run.open(run), store) == "0002"
    assert sorted(path.name for path in (store / "versions").iterdir()) == ["0001", "0002"]
