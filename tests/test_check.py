"""lmindexer check: what is wrong with a run is told, and mended where that can be."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from command_line import learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.ids.table import IdTable
from lmindexer.indexers.store import documents_and_ids, save_documents
from lmindexer.runs import Run, changing


@pytest.fixture(scope="module")
def learned_run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    learned(write_items(corpus, folder / "items.jsonl"), "--out", folder / "run", "--indexer", "rq-kmeans",
            "--embeddings", checkpoints["bert"])  # fmt: skip
    return folder / "run"


@pytest.fixture
def run(learned_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(learned_run, tmp_path / "run"))


def flip(path: Path, place: int = 50) -> None:
    """One bit of a file."""
    raw = bytearray(path.read_bytes())
    raw[place] ^= 4
    path.write_bytes(bytes(raw))


def test_a_whole_run_is_told_to_be_whole(run: Path):
    answer = lmindexer("check", run)
    assert (answer.code, answer.out) == (0, f"{run} is whole\n")
    assert lmindexer("check", run, "--mend").code == 0


@pytest.mark.parametrize("name", ["ids.parquet", "ids.jsonl"])
def test_a_damaged_table_is_made_from_the_other(run: Path, name: str):
    before = documents_and_ids(Run.open(run))[1]
    flip(run / name)
    answer = lmindexer("check", run)
    assert answer.code == 1
    assert re.search(rf"{name} is damaged.*with --mend: made from ids\.", answer.out), answer.out
    assert name != "ids.parquet" or "lmindexer check" in lmindexer("search", run, "rain").err
    mended = lmindexer("check", run, "--mend")
    assert mended.code == 0, mended
    assert documents_and_ids(Run.open(run))[1] == before
    assert IdTable.of_jsonl(Run.open(run).file("ids.jsonl"), before.sizes) == before


@pytest.mark.parametrize("name", ["documents.parquet", "quantiser.safetensors", "config.toml", "backbone/config.json"])
def test_what_cannot_be_mended_is_told_and_nothing_is_changed(run: Path, name: str):
    flip(run / name, 5)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for verb in (("check", run), ("check", run, "--mend")):
        answer = lmindexer(*verb)
        assert answer.code == 1
        assert re.search(rf"{name} is damaged: its bytes are not those that were written\n", answer.out), answer.out
        assert "must be learned or fine-tuned anew" in answer.err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def old_format(run: Path) -> None:
    """As an earlier version left a run: no list of files."""
    facts = {key: value for key, value in Run.open(run).facts.items() if key != "files"}
    Run(run).write_json("run.json", facts | {"format": 1})


def test_ids_without_documents_go_as_after_an_add_that_was_killed_by_an_earlier_version(run: Path):
    old_format(run)
    ids = IdTable.load(run / "ids.parquet")
    ids.add(["x", "y"], np.zeros((2, len(ids.sizes)), np.int32)).save(run / "ids.parquet")
    assert "lmindexer check" in lmindexer("search", run, "rain", "--method", "bm25").err
    assert "2 IDs have no document, such as that of 'x' (with --mend: these IDs go)" in lmindexer("check", run).out
    assert lmindexer("check", run, "--mend").code == 0
    assert documents_and_ids(Run.open(run))[1] == ids
    assert lmindexer("search", run, "rain", "--method", "bm25").code == 0


def test_documents_without_ids_get_them_and_orders_agree(run: Path):
    old_format(run)
    corpus, ids = documents_and_ids(Run.open(run))
    ids.remove(["doc3", "doc7"]).save(run / "ids.parquet")
    save_documents(run / "documents.parquet", Corpus.from_documents(corpus[row] for row in range(len(corpus))[::-1]))
    assert "2 documents have no ID, such as 'doc3'" in lmindexer("check", run).out
    assert lmindexer("check", run, "--mend").code == 0
    mended, table = documents_and_ids(Run.open(run))
    table.check()
    assert sorted(mended.doc_ids) == sorted(corpus.doc_ids)
    assert all(mended[mended.row_of[doc_id]] == corpus[corpus.row_of[doc_id]] for doc_id in corpus.doc_ids)
    assert {doc_id: table[doc_id] for doc_id in ids if doc_id not in ("doc3", "doc7")} == {
        doc_id: ids[doc_id] for doc_id in ids if doc_id not in ("doc3", "doc7")
    }


def test_what_killed_writers_left_and_broken_caches_go(run: Path):
    (run / ".0123abcd.ids.parquet").write_bytes(b"half")
    (run / "ids.7.parquet").write_bytes(b"half of a change")
    (run / "dense.parquet").write_bytes(b"half")
    (run / "results-search-test.parquet").write_bytes(b"half")
    told = lmindexer("check", run).out
    for fault in ("2 files of killed writers", "dense.parquet cannot be read", "results-search-test.parquet cannot"):
        assert fault in told
    assert lmindexer("check", run, "--mend").code == 0
    left = {path.name for path in run.iterdir()}
    assert not left & {".0123abcd.ids.parquet", "ids.7.parquet", "dense.parquet", "results-search-test.parquet"}


def test_a_run_that_is_not_finished_is_told_how_to_go_on(run: Path):
    Run(run).update(state="learning")
    answer = lmindexer("check", run)
    assert answer.code == 1
    assert f"go on with: lmindexer learn FILES --resume --out {run}" in answer.out
    with pytest.raises(Exception, match="not finished"), changing(run):
        pass
