"""Vectors that users bring: every form of file, in the order of the documents, and what is refused."""

import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.corpus.vectors import Vectors, read_vectors
from lmindexer.errors import InputError

IDS = ["a", "b", "c"]
X = np.array([[1.0, 2.0], [3.0, 4.0], [-5.0, 0.5]])
CORPUS = Corpus.from_documents(Document(doc_id, f"text {doc_id}") for doc_id in IDS)
SHUFFLED = [2, 0, 1]


def to_parquet(path: Path, ids: list[Any], vectors: Any, kind: pa.DataType | None = None, **more: Any) -> Path:
    lists = vectors if isinstance(vectors, pa.Array) else pa.array([list(row) for row in vectors], kind)
    pq.write_table(pa.table({"id": ids, "vector": lists, **more}), path)
    return path


def npy(path: Path, kind: Any = np.float32) -> Path:
    np.save(path.with_suffix(".npy"), X.astype(kind))
    return path.with_suffix(".npy")


def parquet(path: Path, kind: pa.DataType | None = None) -> Path:
    return to_parquet(path.with_suffix(".parquet"), [IDS[n] for n in SHUFFLED], X[SHUFFLED], kind)


def npz_with_ids(path: Path) -> Path:
    np.savez(path.with_suffix(".npz"), names=np.array(IDS)[SHUFFLED], numbers=X[SHUFFLED])
    return path.with_suffix(".npz")


def npz(path: Path) -> Path:
    np.savez(path.with_suffix(".npz"), X)
    return path.with_suffix(".npz")


def fixed_size(path: Path) -> Path:
    flat = pa.array(X[SHUFFLED].reshape(-1).astype(np.float16))
    lists = pa.FixedSizeListArray.from_arrays(flat, 2)
    return to_parquet(path.with_suffix(".parquet"), [IDS[n] for n in SHUFFLED], lists)


def shards(path: Path) -> Path:
    folder = path.with_suffix(".parquet")
    folder.mkdir()
    for n, row in enumerate(SHUFFLED):
        to_parquet(folder / f"part-{n}.parquet", [IDS[row]], X[row : row + 1])
    return folder


FORMS: dict[str, Callable[[Path], Path]] = {
    "npy": npy,
    "npy, double": lambda path: npy(path, np.float64),
    "npy, half": lambda path: npy(path, np.float16),
    "npy, of another machine": lambda path: npy(path, ">f4"),
    "npz": npz,
    "npz with ids": npz_with_ids,
    "parquet": parquet,
    "parquet, single": lambda path: parquet(path, pa.list_(pa.float32())),
    "parquet, large lists": lambda path: parquet(path, pa.large_list(pa.float64())),
    "parquet, half of fixed size": fixed_size,
    "parquet in shards": shards,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_the_same(form: str, tmp_path: Path):
    found = read_vectors(FORMS[form](tmp_path / "v"), CORPUS)
    assert found.array.dtype == (np.float16 if "half" in form else np.float32)
    np.testing.assert_array_equal(found.array, X)
    assert (found.width, found.distinct, found.notes) == (2, 3, ())
    assert found.facts["digest"] == read_vectors(X.astype(found.array.dtype), CORPUS).digest


def test_python_gives_rows_or_a_mapping():
    for source in (X, X[::-1][::-1], {doc_id: list(row) for doc_id, row in zip(IDS, X, strict=True)}):
        np.testing.assert_array_equal(read_vectors(source, CORPUS).array, X)
    np.testing.assert_array_equal(read_vectors(X, CORPUS, [2, 0]).array, X[[2, 0]])
    numbers = Corpus.from_documents([Document("1", "x"), Document("2", "y")])
    np.testing.assert_array_equal(read_vectors({2: [3.0], 1: [4.0]}, numbers).array, [[4], [3]])  # type: ignore[dict-item]


@pytest.mark.parametrize("odd", [[[1.0], [1.0, 2.0], [3.0]], {"a": [[1.0], [1.0, 2.0]], "b": [1.0], "c": [1.0]}])
def test_what_is_no_array_is_refused(odd: Any):
    with pytest.raises(InputError, match="the given vectors are no numpy array and cannot be made one"):
        read_vectors(odd, CORPUS)
    with pytest.raises(InputError, match=r"the shape \(3,\), not \(documents, numbers\)"):
        read_vectors(np.ones(3), CORPUS)


def test_whole_numbers_are_numbers(tmp_path: Path):
    whole = (10 * X).astype(np.int8)
    np.save(tmp_path / "v.npy", whole)
    path = to_parquet(tmp_path / "v.parquet", IDS, whole)
    for source in (tmp_path / "v.npy", path):
        np.testing.assert_array_equal(read_vectors(source, CORPUS).array, whole)


def test_a_large_file_stays_on_the_disk_and_is_never_written_to(tmp_path: Path):
    found = read_vectors(path := npy(tmp_path / "v"), CORPUS).array
    base: Any = found
    while not isinstance(base, np.memmap):
        base = base.base
    assert Path(base.filename) == path
    before = path.read_bytes()
    found[0] = 9
    assert path.read_bytes() == before


def test_ids_stand_in_the_column_of_the_documents_or_a_usual_one_and_one_of_several_columns_is_named(tmp_path: Path):
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"sku": n, "text": f"text {n}"}) + "\n" for n in (7, 8)))
    corpus = Corpus.read(items, id="sku")
    table = {"id": ["x", "y"], "sku": [8.0, 7.0], "image": pa.array([[1.0], [2.0]]), "words": pa.array([[3.0], [4.0]])}
    pq.write_table(pa.table(table), tmp_path / "v.parquet")
    with pytest.raises(InputError, match=r"several columns of vectors, 'image', 'words'; name one.*v\.parquet:image"):
        read_vectors(tmp_path / "v.parquet", corpus)
    assert read_vectors(f"{tmp_path}/v.parquet:words", corpus).array.tolist() == [[4], [3]]
    with pytest.raises(InputError, match=r"no column of vectors named 'sku'; its columns are 'id', 'sku'"):
        read_vectors(f"{tmp_path}/v.parquet:sku", corpus)


def records(tmp_path: Path) -> Corpus:
    """Four records in two files, of which the second is no document and the third there twice."""
    (tmp_path / "1.jsonl").write_text('{"id": "a", "text": "rose"}\nnonsense\n{"id": "a", "text": "rose"}\n')
    (tmp_path / "2.jsonl").write_text('{"id": "b", "text": "storm"}\n')
    return Corpus.read([tmp_path / "1.jsonl", tmp_path / "2.jsonl"], skip_bad=True)


def test_a_row_without_an_id_is_of_a_record_left_out_or_not(tmp_path: Path):
    corpus = records(tmp_path)
    np.save(tmp_path / "v.npy", np.arange(8.0).reshape(4, 2))
    assert read_vectors(tmp_path / "v.npy", corpus).array.tolist() == [[0, 1], [6, 7]]
    np.save(tmp_path / "v.npy", np.arange(4.0).reshape(2, 2))
    with pytest.raises(InputError, match=r"v\.npy has 2 vectors for 4 records \(of which 2 are no documents\); .*each"):
        read_vectors(tmp_path / "v.npy", corpus)
    with pytest.raises(InputError, match="the given vectors are 4, and there are 2 documents"):
        read_vectors(np.ones((4, 2)), corpus)


def test_vectors_of_others_are_noted_and_only_some_documents_need_one(tmp_path: Path):
    path = to_parquet(tmp_path / "v.parquet", ["q", "c", "b"], [[9.0], [3.0], [2.0]])
    found = read_vectors(path, CORPUS, [2, 1])
    assert found.array.tolist() == [[3], [2]]
    assert found.notes == (f"ids in {path} that no document here has: 1; their vectors are left out",)
    with pytest.raises(
        InputError, match=r"1 of 3 documents have no vector in .*v\.parquet, the first: 'a'; give each one, or leave"
    ):
        read_vectors(path, CORPUS)
    with pytest.raises(InputError, match=r"2 of 2 documents have no vector .* the first: 'x'; one id there is 'q'; "):
        read_vectors(path, Corpus.from_documents([Document("x", "x"), Document("y", "y")]))


def test_zero_and_equal_vectors_are_noted():
    found = read_vectors(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), CORPUS)
    zero, equal = found.notes
    assert zero.startswith("2 of 3 vectors of the given vectors are zero, the first that of 'a': ")
    assert equal.startswith("the 3 documents have 2 different vectors in the given vectors; those of one vector get ")
    assert found.distinct == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, 1e19])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_what_is_no_number_is_refused_by_its_id(bad: float, kind: Any, tmp_path: Path):
    with np.errstate(over="ignore"):
        array = np.where(np.arange(6).reshape(3, 2) == 3, bad, X).astype(kind)
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(InputError, match=r"v\.npy: the vector of 'b' holds a number that is NaN, infinite or beyond"):
        read_vectors(tmp_path / "v.npy", CORPUS)


def test_another_width_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="vectors of 2 numbers, and the run was learned from vectors of 3; make them"):
        read_vectors(X, CORPUS, width=3)
    path = to_parquet(tmp_path / "v.parquet", IDS, [[1.0, 2.0], [1.0], [1.0, 2.0]])
    with pytest.raises(InputError, match=r"v\.parquet: the vector of 'b' has 1 numbers, and the first 2; all must"):
        read_vectors(path, CORPUS)
    with pytest.raises(InputError, match=r"the given vectors: the vector of 'b' has 1 numbers, and the first 2"):
        read_vectors({"a": [1.0, 2.0], "b": [1.0], "c": [1.0, 2.0]}, CORPUS)
    (folder := tmp_path / "w.parquet").mkdir()
    to_parquet(folder / "1.parquet", ["a", "b"], X[:2])
    to_parquet(folder / "2.parquet", ["c"], [[1.0]])
    with pytest.raises(InputError, match=r"w\.parquet: the vector of 'c' has 1 numbers, and the first 2"):
        read_vectors(folder, CORPUS)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"id": ["a", "a", "b"], "v": [[1.0]] * 3}, "has two vectors with the id 'a'; leave one of them out"),
        ({"id": ["a", None, "b"], "v": [[1.0]] * 3}, r"v\.parquet, row 2: there is no id in 'id'"),
        ({"id": IDS, "v": [[1.0], None, [2.0]]}, "the vector of 'b' is null; mend it, or leave the row"),
        ({"id": IDS, "v": [[1.0], [None], [2.0]]}, "the vector of 'b' holds a number that is NaN"),
        ({"id": IDS, "v": [[], [], []]}, "has no column of vectors, that is of lists of numbers"),
        ({"id": IDS, "v": pa.array([[], [], []], pa.list_(pa.float32()))}, "vectors without any number"),
        ({"id": IDS, "v": [["1"], ["2"], ["3"]]}, "has no column of vectors, that is of lists of numbers"),
        ({"id": IDS, "v": [1.0, 2.0, 3.0]}, "has no column of vectors.*its columns are 'id', 'v'"),
        ({"name": IDS, "v": [[1.0], [2.0], [3.0]]}, "has none of the usual id columns, only 'name', 'v'; call"),
        ({"id": pa.array([], pa.string()), "v": pa.array([], pa.list_(pa.float32()))}, "holds no vectors; give one"),
    ],
)
def test_odd_columns_are_refused(columns: dict[str, Any], reason: str, tmp_path: Path):
    pq.write_table(pa.table(columns), tmp_path / "v.parquet")
    with pytest.raises(InputError, match=reason):
        read_vectors(tmp_path / "v.parquet", CORPUS)


class Trap:
    """Unpickled, it makes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("trapped"),)


def saved(save: Callable[..., None], *arguments: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    save(buffer, *arguments, **named)
    return buffer.getvalue()


TRAPS = np.array([[Trap(), 1.0]] * 3, dtype=object)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("v.npy", b"", "no file of numbers that numpy saved, or not a whole one"),
        ("v.npy", b"\x93NUMPY nonsense", "no file of numbers that numpy saved"),
        ("v.npy", saved(np.save, X)[:-1], "not a whole one"),
        ("v.npy", saved(np.save, np.zeros((0, 2))), "v.npy has 0 vectors for 3 records"),
        ("v.npy", saved(np.save, X[0]), r"has the shape \(2,\), not \(documents, numbers\)"),
        ("v.npy", saved(np.save, X > 0), "the values of type bool in .*v.npy are no numbers; give floats"),
        ("v.npy", saved(np.save, TRAPS), "holds pickled objects, which can run any code and are not opened"),
        ("v.npy", pickle.dumps(TRAPS), "no file of numbers that numpy saved"),
        ("v.npz", saved(np.savez, TRAPS), "holds pickled objects, which can run any code and are not opened"),
        ("v.npz", pickle.dumps(TRAPS), "holds pickled objects, which can run any code and are not opened"),
        ("v.npz", b"PK nonsense", "holds pickled objects|no file of numbers"),
        ("v.npz", saved(np.savez, X)[:-30], "no file of numbers that numpy saved, or not a whole one"),
        ("v.npz", saved(np.save, X), "no file of numbers that numpy saved, or not a whole one"),
        ("v.npz", saved(np.savez, X, X), r"arrays of the shapes \(3, 2\), \(3, 2\); give one array of vectors"),
        ("v.npz", saved(np.savez, X, np.array(["a"])), r"arrays of the shapes \(3, 2\), \(1,\); give one array"),
        ("v.parquet", b"PAR1 nonsense PAR1", "is not a whole Parquet file"),
    ],
)
def test_a_file_that_is_none_or_damaged_is_refused_and_nothing_is_unpickled(
    name: str, content: bytes, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=reason):
        read_vectors(tmp_path / name, CORPUS)
    assert not (tmp_path / "trapped").exists()


def test_a_path_to_nothing_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"there is no file .*v\.npy to take vectors from; check the path"):
        read_vectors(tmp_path / "v.npy", CORPUS)
    with pytest.raises(InputError, match=r"there is no file x+"):
        read_vectors("x" * 5000 + ".parquet", CORPUS)
    (tmp_path / "v.parquet").mkdir()
    with pytest.raises(InputError, match=r"the folder .*v\.parquet has no Parquet file"):
        read_vectors(tmp_path / "v.parquet", CORPUS)


def test_files_are_read_in_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("lmindexer.corpus.vectors.CELLS", 2)
    monkeypatch.setattr("lmindexer.corpus.vector_files.BATCH", 1)
    for form in FORMS.values():
        (folder := tmp_path / str(len(list(tmp_path.iterdir())))).mkdir()
        np.testing.assert_array_equal(read_vectors(form(folder / "v"), CORPUS).array, X)
    with pytest.raises(InputError, match="the vector of 'c'"):
        read_vectors(np.array([[1.0], [1.0], [np.nan]]), CORPUS)


def test_vectors_of_a_corpus_are_those_of_its_rows():
    given = read_vectors(X, CORPUS)
    assert read_vectors(given, CORPUS, [1]).array.tolist() == [[3, 4]]
    assert isinstance(given, Vectors)


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        ("v.npy", True), ("folder/V.NPZ", True), ("v.parquet", True), ("v.parquet:column", True), ("bundled", False),
        ("org/model.parquet-like", False), ("simcse", False), ("v.npy:x", False), ("given vectors", True),
    ],
)  # fmt: skip
def test_which_embeddings_are_vectors(name: str, is_file: bool):
    assert LearnConfig(indexer="hc", embeddings=name).given_vectors is is_file
