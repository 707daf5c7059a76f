"""The documents of a run come back as they were."""

from pathlib import Path

import pytest

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
    save_documents(Run(tmp_path), CORPUS, chunk)
    loaded = load_documents(Run(tmp_path))
    assert list(loaded) == list(CORPUS)
    assert loaded.fingerprint == CORPUS.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["documents.parquet"]


def test_a_file_that_is_gone_or_damaged_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"documents\.parquet is missing; .*learn it anew"):
        load_documents(Run(tmp_path))
    save_documents(Run(tmp_path), CORPUS)
    path = tmp_path / "documents.parquet"
    for damaged in (path.read_bytes()[:-100], b"", b"something else"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"documents\.parquet is damaged; learn the run anew"):
            load_documents(Run(tmp_path))
