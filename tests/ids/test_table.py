"""The ID table: unique IDs, which nobody's coming or going changes, and files which say the same."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable, path_ids


def table_of(codes: list[list[int]], sizes: tuple[int, ...], prefix: str = "d") -> IdTable:
    table = IdTable.empty(f"{prefix}{row}" for row in range(len(codes)))
    for position, size in enumerate(sizes):
        table = table.append(np.array([row[position] for row in codes], dtype=np.int64), size)
    return table


@pytest.fixture
def beauty() -> IdTable:
    """B000 and B002 share a path."""
    return table_of([[17, 401], [3, 401], [17, 401]], (512, 512), prefix="B00").with_suffix()


positions = st.integers(0, 3)
tables = positions.flatmap(
    lambda T: st.lists(st.lists(st.integers(0, 2), min_size=T, max_size=T), max_size=30).map(
        lambda codes: table_of(codes, (3,) * T)
    )
)


def test_ids_by_hand(beauty: IdTable):
    assert beauty["B000"] == (17, 401, 0)
    assert beauty["B001"] == (3, 401, 0)
    assert beauty["B002"] == (17, 401, 1)
    assert beauty.paths.tolist() == [[17, 401, 0], [3, 401, 0], [17, 401, 1]]
    assert beauty.paths.dtype == np.int32
    assert len(beauty) == 3
    assert "B001" in beauty
    assert "B009" not in beauty
    assert list(beauty) == ["B000", "B001", "B002"]
    assert beauty.row_of["B002"] == 2


def test_path_ids_by_hand():
    codes = np.array([[5, 1], [2, 9], [5, 0], [2, 9]])
    assert path_ids(codes).tolist() == [2, 0, 1, 0]
    assert path_ids(codes[:, :0]).tolist() == [0, 0, 0, 0]
    assert path_ids(codes[:0]).tolist() == []


def test_add_continues_after_the_highest_suffix_of_the_path(beauty: IdTable):
    grown = beauty.remove(["B000"]).add(["x", "y", "z"], np.array([[17, 401], [9, 9], [17, 401]]))
    assert [grown[doc_id] for doc_id in grown] == [
        (3, 401, 0),
        (17, 401, 1),
        (17, 401, 2),
        (9, 9, 0),
        (17, 401, 3),
    ]


def test_select_keeps_ids_in_the_order_asked(beauty: IdTable):
    chosen = beauty.select([2, 1])
    assert chosen.doc_ids == ("B002", "B001")
    assert chosen["B002"] == beauty["B002"]


@given(tables)
def test_suffix_makes_ids_unique_and_keeps_the_codes(table: IdTable):
    ended = table.with_suffix()
    ended.check()
    assert len({ended[doc_id] for doc_id in ended}) == len(table)
    assert np.array_equal(ended.codes, table.codes)
    seen: dict[tuple[int, ...], int] = {}  # the slow twin: count the documents of each path
    for doc_id in table:
        assert ended[doc_id] == (*table[doc_id], seen.get(table[doc_id], 0))
        seen[table[doc_id]] = seen.get(table[doc_id], 0) + 1


@given(tables, st.data())
def test_coming_and_going_changes_nobody_elses_id(table: IdTable, data: st.DataObject):
    ids, T = table.with_suffix(), len(table.sizes)
    gone = data.draw(st.lists(st.sampled_from(ids.doc_ids), unique=True)) if len(ids) else []
    left = ids.remove(gone)
    codes = data.draw(st.lists(st.lists(st.integers(0, 2), min_size=T, max_size=T), max_size=10))
    newcomers = [f"new{row}" for row in range(len(codes))]
    grown = left.add(newcomers, np.array(codes, dtype=np.int64).reshape(len(codes), T))
    grown.check()
    assert set(grown) == (set(ids) - set(gone)) | set(newcomers)
    assert all(grown[doc_id] == ids[doc_id] for doc_id in left)
    assert all(grown[doc_id][:T] == tuple(row) for doc_id, row in zip(newcomers, codes, strict=True))


@given(tables, st.booleans(), st.data())
def test_save_then_load_changes_nothing(tmp_path_factory: pytest.TempPathFactory, table, ended, data):
    names = data.draw(st.lists(st.text(), min_size=len(table), max_size=len(table), unique=True))
    table = IdTable(tuple(names), table.codes, table.sizes)
    table = table.with_suffix() if ended else table
    path = tmp_path_factory.mktemp("ids") / "ids.parquet"
    table.save(path)
    loaded = IdTable.load(path)
    assert loaded == table
    assert loaded.codes.dtype == np.int32
    assert [file.name for file in path.parent.iterdir()] == ["ids.parquet"]


def test_equality_sees_every_field(beauty: IdTable):
    assert beauty == beauty.select([0, 1, 2])
    assert beauty != beauty.select([0, 2, 1])
    assert beauty != IdTable(beauty.doc_ids, beauty.codes, beauty.sizes)
    assert beauty != IdTable(beauty.doc_ids, beauty.codes, (512, 513), beauty.suffix)
    assert beauty != IdTable(beauty.doc_ids, beauty.codes, beauty.sizes, beauty.suffix + 1)
    assert beauty != "beauty"


def test_export_jsonl(beauty: IdTable, tmp_path: Path):
    beauty.export(tmp_path / "ids.jsonl", "jsonl")
    lines = (tmp_path / "ids.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[0] == '{"id": "B000", "codes": [17, 401, 0]}'
    assert [json.loads(line)["codes"] for line in lines] == beauty.paths.tolist()


def test_export_csv(tmp_path: Path):
    odd = IdTable(('a,"b"\nc', "é"), np.array([[1], [2]], dtype=np.int32), (3,)).with_suffix()
    odd.export(tmp_path / "ids.csv", "csv")
    with (tmp_path / "ids.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["id", "c1", "suffix"], ['a,"b"\nc', "1", "0"], ["é", "2", "0"]]


def test_export_parquet(beauty: IdTable, tmp_path: Path):
    beauty.export(tmp_path / "ids.parquet", "parquet")
    exported = pyarrow.parquet.read_table(tmp_path / "ids.parquet")
    assert exported.column_names == ["id", "c1", "c2", "suffix"]
    assert exported["suffix"].to_pylist() == [0, 0, 1]
    assert json.loads(exported.schema.metadata[b"sizes"]) == [512, 512]


def test_mistakes_are_named(beauty: IdTable, tmp_path: Path):
    bare = table_of([[1], [1]], (2,))
    with pytest.raises(KeyError, match="no document of this table has the id 'B009'"):
        beauty["B009"]
    with pytest.raises(InputError, match="'B000' already has an ID"):
        beauty.add(["B000"], np.array([[1, 1]]))
    with pytest.raises(InputError, match="'x' is there twice"):
        beauty.add(["x", "x"], np.array([[1, 1], [2, 2]]))
    with pytest.raises(ValueError, match="'x' has code 512 at position 1 of only 512"):
        beauty.add(["x"], np.array([[1, 512]]))
    with pytest.raises(ValueError, match="1 documents and 2 positions"):
        beauty.add(["x"], np.array([[1]]))
    with pytest.raises(InputError, match="'B009' cannot be removed"):
        beauty.remove(["B009"])
    with pytest.raises(ValueError, match="already end in a suffix"):
        beauty.append(np.array([0, 0, 0]), 4)
    with pytest.raises(ValueError, match="already end in a suffix"):
        beauty.with_suffix()
    with pytest.raises(ValueError, match="has code -1 at position 1"):
        bare.append(np.array([0, -1]), 4)
    with pytest.raises(ValueError, match="with_suffix"):
        _ = bare.paths
    with pytest.raises(ValueError, match="not unique yet"):
        bare.export(tmp_path / "ids.csv", "csv")
    with pytest.raises(InputError, match="jsonl, csv, parquet"):
        beauty.export(tmp_path / "ids.xml", "xml")
    assert not list(tmp_path.iterdir())


def test_check_names_two_documents_which_share_an_id(beauty: IdTable):
    with pytest.raises(ValueError, match=r"'d0' and 'd1' share the ID \(1,\); call ids.with_suffix\(\) first"):
        table_of([[1], [1]], (2,)).check()
    damaged = IdTable(beauty.doc_ids, beauty.codes, beauty.sizes, np.zeros(3, dtype=np.int32))
    with pytest.raises(ValueError, match=r"'B000' and 'B002' share the ID \(17, 401, 0\)"):
        damaged.check()
    with pytest.raises(ValueError, match="'B000' has code 17 at position 0 of only 16"):
        IdTable(beauty.doc_ids, beauty.codes, (16, 512), beauty.suffix).check()
    with pytest.raises(ValueError, match="'a' is there twice"):
        IdTable.empty(["a", "a"]).with_suffix().check()


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1....PAR1"])
def test_load_of_something_else(tmp_path: Path, content: bytes):
    path = tmp_path / "ids.parquet"
    with pytest.raises(InputError, match="no ID table at"):
        IdTable.load(path)
    path.write_bytes(content)
    with pytest.raises(InputError, match="is not an ID table"):
        IdTable.load(path)


def test_load_of_a_foreign_parquet(tmp_path: Path):
    pyarrow.parquet.write_table(pyarrow.table({"name": ["a"]}), tmp_path / "ids.parquet")
    with pytest.raises(InputError, match="is not an ID table"):
        IdTable.load(tmp_path / "ids.parquet")


SPOILED = {
    "an id is missing": {"id": ["a", None]},
    "an id is there twice": {"id": ["a", "a"]},
    "ids are no texts": {"id": [["a"], ["b"]]},
    "a code is missing": {"c1": [0, None]},
    "a code is no number": {"c1": [0.0, float("nan")]},
    "a code is half": {"c1": [0.0, 0.5]},
    "codes are times": {"c1": pyarrow.array([0, 1], pyarrow.duration("ns"))},
    "a code is outside": {"c1": [0, 4]},
    "a code is below 0": {"c1": [0, -1]},
    "two have one ID": {"c1": [1, 1], "suffix": [0, 0]},
    "a suffix is missing": {"suffix": [0, None]},
}


@pytest.mark.parametrize("fault", SPOILED)
def test_load_of_what_is_no_ids(tmp_path: Path, fault: str):
    good = {"id": ["a", "b"], "c1": [0, 1], "suffix": [0, 0]}
    for columns in (good, good | SPOILED[fault]):
        table = pyarrow.table(columns, metadata={"sizes": "[4]"})
        pyarrow.parquet.write_table(table, tmp_path / "ids.parquet")
        if columns is good:
            assert IdTable.load(tmp_path / "ids.parquet")["b"] == (1, 0)
    with pytest.raises(InputError, match="is not an ID table"):
        IdTable.load(tmp_path / "ids.parquet")


def test_a_full_disk_leaves_the_old_file(beauty: IdTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(table: object, to: Path) -> None:
        to.write_bytes(b"half of i")
        raise OSError(28, "No space left on device")

    beauty.save(tmp_path / "ids.parquet")
    monkeypatch.setattr(pyarrow.parquet, "write_table", full)
    with pytest.raises(InputError, match=r"no space left on .*; free some and run again"):
        beauty.remove(["B000"]).save(tmp_path / "ids.parquet")
    assert [file.name for file in tmp_path.iterdir()] == ["ids.parquet"]
    assert IdTable.load(tmp_path / "ids.parquet") == beauty
