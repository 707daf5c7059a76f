"""The documents of a run come back as they were."""

from pathlib import Path

import pytest

from command_line import entries
from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.indexers.store import load_documents, save_documents
from lmindexer.runs import Run

CORPUS = Corpus.from_documents(
    [
        Document("a", "Ünïcode, \u201cquotes\u201d and \U0001f339", ("Garden", "Roses > Climbing")),
        Document("b", "", ()),
        Document("c", "word " * 10_000, ("Garden",)),
    ],
    keep_empty=True,
)


@pytest.mark.parametrize("chunk", [1, 2, 100])
def test_saving_and_loading_changes_nothing(chunk: int, tmp_path: Path):
    run = Run.create(tmp_path / "run", LearnConfig(), {})
    save_documents(run.path / "documents.parquet", CORPUS, chunk)
    loaded = load_documents(run)
    assert list(loaded) == list(CORPUS)
    assert loaded.fingerprint == CORPUS.fingerprint
    assert entries(run.path) == ["config.toml", "documents.parquet", "run.json"]


def test_a_file_that_is_gone_or_damaged_is_named(tmp_path: Path):
    run = Run.create(tmp_path / "run", LearnConfig(), {})
    path = run.path / "documents.parquet"
    with pytest.raises(InputError, match=r"documents\.parquet is missing; .*lmindexer check"):
        load_documents(run)
    save_documents(path, CORPUS)
    for damaged in (path.read_bytes()[:-100], b"", b"something else"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"documents\.parquet is damaged; learn the run anew"):
            load_documents(run)
