"""Records that are in Python become the same documents as a file of them, by the same rules."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError

ROWS: list[dict[str, Any]] = [
    {"asin": 4711, "title": "<b>Soap &amp; more</b>", "brand": "Acme", "categories": ["Bath", "Soap"]},
    {"asin": "B2", "title": "nan", "brand": "['red', 'kite']", "categories": "Toys > Kites"},
    {"asin": 17.0, "title": "a  lamp", "brand": None, "categories": "['Home', None, 'Lamps']"},
    {"asin": "B2", "title": "nan", "brand": "['red', 'kite']", "categories": "Toys"},
    {"asin": "B5", "title": "plain", "brand": float("nan"), "categories": []},
]


class Frame:
    """As much of a pandas data frame as is asked for."""

    def __init__(self, columns: Mapping[str, list[Any]], index: tuple[str | None, list[Any]] = (None, [])) -> None:
        self.data, self.labels = dict(columns), index
        self.columns = list(columns)
        self.index = type("Index", (), {"names": [index[0]]})()
        self.iloc = self

    def __len__(self) -> int:
        return len(next(iter(self.data.values())))

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Frame({name: values[at] for name, values in self.data.items()})
        column = np.empty(len(self), object)
        column[:] = self.data[self.columns[at[1]]]
        return column

    def reset_index(self, level: list[str]) -> "Frame":
        return Frame({level[0]: self.labels[1]} | self.data)


class Polars:
    """What polars has for others."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def to_arrow(self) -> pa.Table:
        return self.table


class Dataset:
    """As much of a data set of Hugging Face as is asked for."""

    def __init__(self, rows: list[dict[str, Any]], form: str | None = "numpy") -> None:
        self.rows, self.form, self.column_names = rows, form, list(rows[0])

    def with_format(self, form: str | None) -> "Dataset":
        return Dataset(self.rows, form)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert self.form is None, "as Python's own values"
        return iter(self.rows)


HOW: dict[str, Any] = {"id": "asin", "text": ["title", "brand"], "label": "categories"}


def columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize(
    "data",
    [ROWS, tuple(ROWS), (row for row in ROWS), Frame(columns(ROWS)), Dataset(ROWS)],
    ids=["list", "tuple", "generator", "frame", "data set"],
)
def test_the_same_as_from_a_file(data: object, tmp_path: Path):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    of_file, of_memory = Corpus.read(path, **HOW), Corpus.of(data, **HOW)
    assert list(of_memory) == list(of_file)
    assert of_memory.fingerprint == of_file.fingerprint
    assert of_memory.notes == of_file.notes
    assert of_memory.fields == of_file.fields
    assert list(Corpus.of(path, **HOW)) == list(Corpus.of([path], **HOW)) == list(of_file)


def test_a_table_is_read_as_parquet_is(tmp_path: Path):
    table = pa.table({
        "id": [3, 1],
        "title": ["a", None],
        "day": [datetime(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5, 600000)],
        "parts": [["x", "y"], []],
    })  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    of_file = list(Corpus.read(tmp_path / "a.parquet", text=["title", "day", "parts"]))
    assert of_file[0] == Document("3", "a 2020-01-02 00:00:00 x y")
    for data in (table, table.to_batches()[0], Polars(table), table.to_pylist(), Frame(columns(table.to_pylist()))):
        assert [document.id for document in Corpus.of(data, text=["title", "parts"], keep_empty=True)] == ["3", "1"]
        if not isinstance(data, list | Frame):
            assert list(Corpus.of(data, text=["title", "day", "parts"])) == of_file


def test_a_named_index_is_a_column():
    frame = Frame({"title": ["a", "b"]}, index=("asin", ["x", "y"]))
    assert Corpus.of(frame).doc_ids == ("x", "y")
    with pytest.raises(InputError, match="the data frame has none of the usual id columns"):
        Corpus.of(Frame({"title": ["a"]}, index=(None, [0])))


def test_ids_and_texts_alone():
    assert list(Corpus.of({1: "one", np.int64(2): "two"})) == [Document("1", "one"), Document("2", "two")]
    assert list(Corpus.of({"a": {"title": "one"}, "b": {"title": "two", "id": "c"}})) == [
        Document("a", "one"), Document("c", "two"),
    ]  # fmt: skip


def test_arrays_are_lists_and_nothing_is_nothing():
    na, nat = type("NAType", (), {})(), type("NaTType", (datetime,), {})(2020, 1, 1)
    rows = [
        {"id": np.int32(1), "text": np.array(["a", "b"]), "label": np.array(["x", "y"])},
        {"id": np.float64(2.0), "text": [na, nat, np.float32("nan"), np.str_("c")], "label": None},
        {"id": 3, "text": np.datetime64("2020-01-02T03:04:05.000000000")},
        {"id": 4, "text": datetime(2020, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))},
        {"id": 5, "text": ["d", np.datetime64("NaT"), datetime(2020, 1, 1, tzinfo=UTC)]},
    ]
    documents = list(Corpus.of(rows, label="label"))
    assert documents[0] == Document("1", "a b", ("x", "y"))
    assert [document.text for document in documents[1:]] == [
        "c", "2020-01-02 03:04:05", "2020-01-02 03:04:05", "d 2020-01-01 00:00:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([{"id": 1, "text": "x"}, {"id": None, "text": "y"}], "the list, row 1: there is no id in 'id'"),
        ([{"id": 1, "text": "x"}, {"id": 1, "text": "y"}], "row 1: the id '1' was already in the list, row 0"),
        ([{"id": 1, "text": "x"}, "y"], "the list, row 1: a str, not a dict"),
        ([{"id": 1, "name": "x"}], "the list has none of the usual text columns; name some of 'id', 'name'"),
        ([Document("a", "b")], "make a corpus of these by Corpus.from_documents"),
        ({"id": ["a"], "text": ["b"]}, "the mapping, row 0: the value of 'id' is a list"),
        ([], "there are no documents in the list"),
        (5, "a corpus is made of a data frame, .* not of 5"),
        (None, "a corpus is made of a data frame, .* not of None"),
        (["here.csv"], "here.csv does not exist"),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), "the table has two columns of one name"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_row(data: object, message: str):
    with pytest.raises(InputError, match=message):
        Corpus.of(data)


def test_bad_rows_can_be_left_out():
    corpus = Corpus.of([{"id": 1, "text": "x"}, {"id": None, "text": "y"}, 7, {"id": 2, "text": "y"}], skip_bad=True)
    assert corpus.doc_ids == ("1", "2")
    assert corpus.skipped_reasons == {"no id": 1, "not a record": 1}


def test_several_splits_are_no_data_set():
    class Splits(dict[str, Dataset]):
        column_names: dict[str, list[str]] = {}  # noqa: RUF012

    with pytest.raises(InputError, match=r"these are the splits 'train', 'test' of a data set; choose one"):
        Corpus.of(Splits(train=Dataset(ROWS), test=Dataset(ROWS)))


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_real_data_frames(package: str):
    frames = pytest.importorskip(package)
    frame = frames.DataFrame({"asin": [4711, 12], "title": ["a", "b"]})
    assert list(Corpus.of(frame)) == [Document("4711", "a"), Document("12", "b")]


def test_real_data_sets():
    datasets = pytest.importorskip("datasets")
    assert Corpus.of(datasets.Dataset.from_list([{"id": 1, "text": "a"}, {"id": 2, "text": "b"}])).doc_ids == ("1", "2")
