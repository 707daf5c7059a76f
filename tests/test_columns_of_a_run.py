"""What was decided when a run was learned holds for what comes later: columns, label, markup; and flags that go on."""

import json
from pathlib import Path
from typing import Any

import pytest

from command_line import lmindexer
from lmindexer.errors import InputError
from lmindexer.indexers.store import load_documents
from lmindexer.runs import Run


def jsonl(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def learn(path: Path, out: Path, *flags: object) -> None:
    answer = lmindexer("learn", path, "--out", out, "--indexer", "random", "--sizes", 4, "--quiet", *flags)
    assert answer.code == 0, answer.err


@pytest.fixture
def run(tmp_path: Path) -> Path:
    items = [{"id": "x", "asin": n, "title": f"kite {n}", "kind": "Toys > Kites"} for n in range(8)]
    learn(jsonl(tmp_path / "first.jsonl", *items), tmp_path / "run", "--id", "asin", "--label", "kind")
    return tmp_path / "run"


@pytest.fixture
def later(tmp_path: Path) -> Path:
    shelf = {"description": "warehouse row 12", "id": "y", "kind": "Toys > Drums"}
    return jsonl(tmp_path / "later.jsonl", shelf | {"asin": 3, "title": "kite 3"}, shelf | {"asin": 9, "title": "drum"})


def test_the_run_keeps_its_columns(run: Path):
    assert Run.open(run).facts["columns"] == {"id": "asin", "text": ["title"], "label": "kind", "keep_markup": False}


def test_index_and_add_read_the_columns_that_were_learned(run: Path, later: Path):
    answer = lmindexer("index", run, later)
    assert [json.loads(line)["id"] for line in answer.out.splitlines()] == ["3", "9"]
    assert "'description', too, which the run was not learned from" in answer.err
    answer = lmindexer("add", run, later)
    assert answer.err.endswith("added 1; 1 already there\n"), answer.err
    document = load_documents(Run.open(run))[8]
    assert (document.id, document.text, document.label) == ("9", "drum", ("Toys", "Drums"))


def test_named_columns_win(run: Path, later: Path):
    answer = lmindexer("index", run, later, "--text", "title,nothing")
    assert (answer.code, answer.out) == (2, "")
    assert "no column 'nothing'" in answer.err


def test_a_run_of_before_columns_were_kept_has_those_of_its_settings(run: Path, later: Path):
    facts = json.loads((run / "run.json").read_text())
    del facts["columns"]
    (run / "run.json").write_text(json.dumps(facts))
    answer = lmindexer("index", run, later, "--id", "asin")
    assert answer.code == 0, answer.err
    (run / "run.json").write_text(json.dumps(facts | {"columns": {"id": "asin"}}))
    answer = lmindexer("index", run, later)
    assert (answer.code, "damaged" in answer.err) == (2, True)


def test_markup_that_was_kept_is_kept(tmp_path: Path):
    items = [{"id": n, "title": f"salt &amp; pepper {n}"} for n in range(8)]
    path = jsonl(tmp_path / "a.jsonl", *items)
    learn(path, tmp_path / "kept", "--keep-markup")
    assert load_documents(Run.open(tmp_path / "kept"))[0].text == "salt &amp; pepper 0"
    assert lmindexer("add", tmp_path / "kept", path).err.endswith("added 0; 8 already there\n")
    facts = json.loads((tmp_path / "kept" / "run.json").read_text())
    (tmp_path / "kept" / "run.json").write_text(json.dumps(facts | {"state": "learning"}))
    learn(path, tmp_path / "kept", "--resume")  # without the flag: else it would be another corpus
    learn(path, tmp_path / "undone")
    assert load_documents(Run.open(tmp_path / "undone"))[0].text == "salt & pepper 0"


def test_most_records_are_left_out_only_if_told_to_go_on(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", *({"id": n, "title": f"kite {n}" if n < 8 else ""} for n in range(20)))
    arguments = ("learn", path, "--out", tmp_path / "run", "--indexer", "random", "--sizes", 4, "--quiet", "--skip-bad")
    answer = lmindexer(*arguments)
    assert (answer.code, "12 of 20 records would be left out" in answer.err) == (2, True)
    assert not (tmp_path / "run").exists()
    answer = lmindexer(*arguments, "--keep-going")
    assert (answer.code, "skipped 12: no text" in answer.err) == (0, True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "log.txt").write_text("".join(f"u{u} {u % 8} 1 2 a b c d\n" for u in range(9)))
    return tmp_path / "log.txt"


def test_most_of_a_log_is_left_out_only_if_told_to_go_on(run: Path, log: Path):
    arguments = ("evaluate", run, "--sequences", log, "--method", "popular")
    answer = lmindexer(*arguments)
    assert (answer.code, "36 of 63 items of" in answer.err, "--keep-going" in answer.err) == (2, True, True)
    answer = lmindexer(*arguments, "--keep-going")
    assert answer.code == 0, answer.err


def test_finetune_goes_on_with_less_than_half_if_told_to(
    run: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def reached(*_: object) -> None:
        raise InputError("the log was read")

    monkeypatch.setattr("lmindexer.teaching.fine_tuning.RecommendTask", reached)
    arguments = ("finetune", run, log, "--out", tmp_path / "out")
    assert "36 of 63 items of" in lmindexer(*arguments).err
    assert lmindexer(*arguments, "--keep-going").err == "lmindexer: the log was read\n"


def test_a_list_of_ids_with_a_byte_order_mark(run: Path, tmp_path: Path):
    (tmp_path / "ids.txt").write_text("\ufeff3\r\n4\r\n", encoding="utf-8")
    assert lmindexer("remove", run, "--from", tmp_path / "ids.txt").err == "2 documents removed\n"


@pytest.mark.parametrize("label", ["Toys > Kites", "Toys>Kites", "Toys | Kites", "Toys"])
def test_labels_are_asked_for_as_they_are_read(label: str, run: Path):
    answer = lmindexer("search", run, "kite", "--method", "bm25", "--only", label, "-k", 2, "--format", "jsonl")
    assert len(answer.out.splitlines()) == 2, answer.err
    assert "has the label" in lmindexer("search", run, "kite", "--method", "bm25", "--only", "Kites").err
