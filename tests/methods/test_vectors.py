"""Vectors kept in a file: each text is read once, and a text that changed is read anew."""

import errno
from pathlib import Path

import pytest
import torch

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.methods.vectors import keys_of, save_vectors, vectors_of


def corpus_of(texts: dict[str, str]) -> Corpus:
    return Corpus.from_documents(Document(*each) for each in texts.items())


class Reader:
    """A text's vector is its length and its first letter; it remembers which it was asked."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus, self.asked = corpus, list[str]()

    def __call__(self, rows: list[int]) -> torch.Tensor:
        texts = [self.corpus[row].text for row in rows]
        self.asked += texts
        return torch.tensor([[len(text), ord(text[0])] for text in texts])


def read(texts: dict[str, str], path: Path, keep: bool = True) -> tuple[list[list[float]], list[str]]:
    corpus = corpus_of(texts)
    reader = Reader(corpus)
    return vectors_of(corpus, path, 2, reader, keep).tolist(), reader.asked


def expected(texts: dict[str, str]) -> list[list[float]]:
    return [[len(text), ord(text[0])] for text in texts.values()]


def test_each_text_is_read_once(tmp_path: Path):
    path, texts = tmp_path / "vectors.parquet", {"a": "rose", "b": "pan", "c": "mast"}
    assert read(texts, path) == (expected(texts), ["rose", "pan", "mast"])
    assert read(texts, path) == (expected(texts), [])
    later = {"c": "mast", "d": "old drum", "a": "roses"}  # one left, one came, one has another text, in another order
    assert read(later, path) == (expected(later), ["old drum", "roses"])
    assert read(later, path) == (expected(later), [])
    assert read(texts, path)[1] == ["rose", "pan"], "what left was forgotten"


def test_without_keeping_nothing_is_written(tmp_path: Path):
    path, texts = tmp_path / "vectors.parquet", {"a": "rose"}
    assert read(texts, path, keep=False) == (expected(texts), ["rose"])
    assert not path.exists()


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no parquet at all"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes):
    path, texts = tmp_path / "vectors.parquet", {"a": "rose", "b": "pan"}
    path.write_bytes(damage)
    assert read(texts, path) == (expected(texts), ["rose", "pan"])
    assert read(texts, path)[1] == []


def test_a_file_that_was_changed_inside_is_made_anew(tmp_path: Path):
    path, texts = tmp_path / "vectors.parquet", {f"doc{n}": f"{n} roses" for n in range(50)}
    assert read(texts, path)[1] == list(texts.values())
    whole = path.read_bytes()
    for at in range(4, len(whole) - 60, 97):
        path.write_bytes(whole[:at] + bytes(255 - byte for byte in whole[at : at + 40]) + whole[at + 40 :])
        assert read(texts, path)[0] == expected(texts)


def test_vectors_of_another_width_are_made_anew(tmp_path: Path):
    texts = {"a": "rose", "b": "pan"}
    save_vectors(tmp_path / "v", list(keys_of(corpus_of(texts))), torch.ones(2, 3).half())
    assert read(texts, tmp_path / "v") == (expected(texts), ["rose", "pan"])


def test_a_full_disk_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    texts = {"a": "rose"}
    assert read(texts, tmp_path / "v") == (expected(texts), ["rose"])
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_be_kept_it_is_still_found(tmp_path: Path):
    texts = {"a": "rose"}
    assert read(texts, tmp_path / "nowhere" / "vectors.parquet") == (expected(texts), ["rose"])


def test_saved_vectors_are_found(tmp_path: Path):
    texts = {"a": "rose", "b": "pan"}
    save_vectors(tmp_path / "v", list(keys_of(corpus_of(texts))), torch.tensor([[1.0, 2.0], [3.0, 4.0]]).half())
    assert read(texts, tmp_path / "v") == ([[1.0, 2.0], [3.0, 4.0]], [])
