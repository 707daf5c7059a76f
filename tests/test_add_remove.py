"""Documents come and go: IDs unique at once, nobody else's changed, nothing half-done."""

import json
import re
import shutil
from pathlib import Path

import pytest

from command_line import learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.ids.table import IdTable
from lmindexer.indexers.registry import load_indexer
from lmindexer.runs import Run


@pytest.fixture(scope="module", params=["lmindexer", "rq-kmeans"])
def learned_run(
    request: pytest.FixtureRequest,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    bert = checkpoints["bert"]
    learned(write_items(corpus, folder / "items.jsonl"), "--out", folder / "run", "--label", "kind",
            "--indexer", request.param, "--backbone", bert, "--embeddings", bert)  # fmt: skip
    return folder / "run"


@pytest.fixture
def run(learned_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learned_run, tmp_path / "run"))


@pytest.fixture
def new(corpus: Corpus, tmp_path: Path) -> Path:
    documents = [corpus[0], *(Document(f"new{n}", "old rose and new soil", ("garden", "garden0")) for n in range(3))]
    return write_items(Corpus.from_documents(documents), tmp_path / "new.jsonl")


def table(run: Path) -> IdTable:
    return IdTable.load(Run.open(run).file("ids.parquet"))


def test_what_is_added_has_an_id_of_its_own_at_once(run: Path, new: Path, corpus: Corpus):
    before = table(run)
    answer = lmindexer("add", run, new, "--label", "kind")
    assert answer.code == 0
    *notes, last = answer.err.splitlines()
    assert last == "added 3; 1 already there"
    assert all(note.startswith("note: ") for note in notes)
    after = table(run)
    after.check()
    assert after.doc_ids == (*corpus.doc_ids, "new0", "new1", "new2")
    assert after.select(range(len(before))) == before
    told = [json.loads(line) for line in answer.out.splitlines()]
    assert {line["id"]: tuple(line["codes"]) for line in told} == {name: after[name] for name in after.doc_ids[80:]}
    assert load_indexer(run).index(Corpus.from_documents([Document("new1", "x")])).paths.tolist() == [[*after["new1"]]]
    kept = load_indexer(run).corpus()
    assert kept[len(corpus)] == Document("new0", "old rose and new soil", ("garden", "garden0"))
    assert "the numbers are of the documents as they were learned" in lmindexer("inspect", run).out
    again = lmindexer("add", run, new)
    assert (again.out, again.err) == ("", "added 0; 4 already there\n")


def test_two_additions_know_of_each_other(run: Path, tmp_path: Path):
    for n in range(3):
        path = tmp_path / f"{n}.jsonl"
        path.write_text(json.dumps({"id": f"later{n}", "title": "thunder and storm"}) + "\n")
        assert lmindexer("add", run, path).code == 0
    after = table(run)
    after.check()
    assert len({after[f"later{n}"] for n in range(3)}) == 3


def test_what_is_removed_is_gone_and_the_others_stay(run: Path, corpus: Corpus, tmp_path: Path):
    before = table(run)
    (tmp_path / "leaving.txt").write_text("doc7\n\ndoc9\n")
    answer = lmindexer("remove", run, "doc3", "--from", tmp_path / "leaving.txt")
    assert (answer.code, answer.err) == (0, "3 documents removed\n")
    after = table(run)
    assert after == before.remove(["doc3", "doc7", "doc9"])
    assert load_indexer(run).corpus().doc_ids == after.doc_ids
    assert lmindexer("inspect", run).code == 0


def test_mistakes_change_nothing(run: Path, tmp_path: Path):
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "brandnew", "title": "pan"}\n{"id": "doc3", "title": "another text"}\n')
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    for arguments, told in (
        (("add", run, other), r"'doc3' is in .* with another text; to change it: lmindexer remove"),
        (("remove", run, "doc3", "nobody"), r"'nobody' cannot be removed"),
        (("remove", run), "no document is named"),
        (("remove", run, "--from", run / "ids.parquet"), r"ids\.parquet is not UTF-8; give a text file"),
        (("remove", run, *(f"doc{n}" for n in range(80))), "would have no documents left"),
    ):
        answer = lmindexer(*arguments)
        assert answer.code == 2, arguments
        assert "Traceback" not in answer.err
        assert re.search(told, answer.err), answer.err
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
