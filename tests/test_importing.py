"""IDs of other programs as runs, IDs for other programs, and whose ID is it."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command_line import lmindexer
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.imported import read_ids
from lmindexer.indexers.registry import load_indexer
from lmindexer.indexers.store import documents_and_ids
from lmindexer.runs import Run
from small_tasks import QUICK, learn, write_jsonl, write_queries

TOKENS = {"a": ["<a_3>", "<b_1>", "<c_0>"], "b": ["<a_3>", "<b_1>", "<c_0>"], "c": ["<a_0>", "<b_2>", "<c_5>"]}


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "items.jsonl", [{"id": i, "text": f"a rose {i}"} for i in "cab"])


@pytest.fixture(scope="module")
def learned(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return learn(corpus, tmp_path_factory.mktemp("runs") / "learned")


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("index.json", json.dumps(TOKENS)),
        ("numbers.json", json.dumps({key: [int(token[3:-1]) for token in value] for key, value in TOKENS.items()})),
        ("codes.json", json.dumps({key: {"codes": value} for key, value in TOKENS.items()})),
        ("ids.csv", "id,c1,c2,c3\na,3,1,0\nb,3,1,0\nc,0,2,5\n"),
        ("ids.tsv", "c3\tid\tc1\tc2\tother\n0\ta\t3\t1\tx\n0\tb\t3\t1\tx\n5\tc\t0\t2\tx\n"),
    ],
)
def test_ids_of_every_form_are_a_run(tmp_path: Path, documents: Path, name: str, text: str):
    path = written(tmp_path / name, text)
    done = lmindexer("import", path, "--documents", documents, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "3 IDs of 4 x 3 x 6 codes" in done.out
    corpus, ids = documents_and_ids(Run.open(tmp_path / "run"))
    assert corpus.doc_ids == ids.doc_ids == ("c", "a", "b"), "in the order of the documents"
    assert [ids[i] for i in "cab"] == [(0, 2, 5, 0), (3, 1, 0, 0), (3, 1, 0, 1)]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_what_was_exported_comes_back_as_it_was(learned: Path, tmp_path: Path, corpus: Corpus, kind: str):
    items = write_jsonl(tmp_path / "items.jsonl", [{"id": d.id, "text": d.text} for d in corpus])
    out = tmp_path / f"ids.{kind}"
    assert lmindexer("export", learned, "--out", out).code == 0
    assert lmindexer("import", out, "--documents", items, "--out", tmp_path / "again").code == 0
    before, after = (documents_and_ids(Run.open(run))[1] for run in (learned, tmp_path / "again"))
    assert [after[i] for i in after] == [before[i] for i in before]


def test_tokens_of_an_index_json(learned: Path, tmp_path: Path):
    for out in (tmp_path / "index.json", tmp_path / "my.index.json"):
        assert lmindexer("export", learned, "--out", out).code == 0
        found = json.loads(out.read_text())
        ids = documents_and_ids(Run.open(learned))[1]
        assert list(found) == list(ids.doc_ids)
        assert all(found[i] == [f"<{letter}_{n}>" for letter, n in zip("abc", ids[i], strict=True)] for i in ids)
    assert read_ids(out, last="suffix").paths.tolist() == ids.paths.tolist()
    assert lmindexer("export", learned, "--out", tmp_path / "x.json", "--format", "index.json").code == 0
    assert json.loads((tmp_path / "x.json").read_text()) == found
    assert "is jsonl by its name" not in lmindexer("export", learned, "--out", tmp_path / "ids.json").err
    with pytest.raises(InputError, match="letters for 26 positions, not 27"):
        IdTable(("a",), np.zeros((1, 26), np.int32), (1,) * 26).with_suffix().export(tmp_path / "wide", "index.json")


def test_an_imported_run_is_like_any_other(tmp_path: Path, documents: Path, corpus: Corpus):
    items = write_jsonl(tmp_path / "items.jsonl", [{"id": d.id, "text": d.text, "label": d.label[0]} for d in corpus])
    ids = {d.id: [row % 7, row % 3] for row, d in enumerate(corpus)}
    path, run = written(tmp_path / "ids.json", json.dumps(ids)), tmp_path / "run"
    assert lmindexer("import", path, "--documents", items, "--label", "label", "--out", run).code == 0
    assert "ami" in json.loads(lmindexer("inspect", run, "--format", "json").out)["quality"]["imported"]["labels"][0]
    assert lmindexer("explore", run).code == 0
    assert lmindexer("compare", run, run, "--resamples", 0).code == 2
    assert lmindexer("check", run).code == 0
    assert lmindexer("remove", run, "doc3").code == 0
    assert lmindexer("search", run, "rose", "--method", "bm25").code == 0
    refused = lmindexer("search", run, "rose")
    assert refused.code == 2
    assert "was imported without a model to generate IDs; fine-tune it first" in refused.err
    refused = lmindexer("add", run, documents)
    assert refused.code == 2
    assert "whose IDs were imported, and no model gives IDs to new documents; import them again" in refused.err
    refused = lmindexer("learn", items, "--indexer", "imported", "--out", tmp_path / "no")
    assert refused.code == 2
    assert "not learned; bring them in with: lmindexer import" in refused.err
    assert not (tmp_path / "no").exists()
    settings: dict[str, Any] = QUICK | {"epochs": 1, "warmup_epochs": 1, "held_out": 0.0}
    flags = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
    done = lmindexer("finetune", run, "--queries", write_queries(tmp_path / "q.jsonl"), "--out", tmp_path / "s", *flags)
    assert done.code == 0, done.err
    assert lmindexer("search", tmp_path / "s", "rose").code == 0
    assert load_indexer(run).ids is not None


def test_what_does_not_belong_together_is_told(tmp_path: Path, documents: Path):
    def imported(ids: dict[str, Any], *more: Any) -> Any:
        path = written(tmp_path / "ids.json", json.dumps(ids))
        return lmindexer("import", path, "--documents", documents, "--out", tmp_path / "run", *more)

    assert "no document has an ID in" in imported({"x": [1], "y": [2]}).err
    refused = imported({"a": [1], "x": [2]})
    assert refused.code == 2
    assert "2 of 3 documents have no ID in" in refused.err
    assert not (tmp_path / "run").exists()
    done = imported({"a": [1], "b": [1], "x": [2]})
    assert done.code == 0
    assert "1 of 3 documents have no ID in" in done.err
    assert "(the first: 'c'); they are left out" in done.err
    assert "1 of 3 IDs in" in done.err
    assert documents_and_ids(Run.open(tmp_path / "run"))[1].doc_ids == ("a", "b")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ids.json", '{"a": [1, 2], "b": [1]}', r"record 2: the ID of 'b' has 1 numbers, not 2"),
        ("ids.json", '{"a": [], "b": [1]}', r"record 1: the ID of 'a' has 0 numbers, not 1"),
        ("ids.json", '{"a": [1, -2], "b": [1, 2]}', r"record 1: -2 is no code"),
        ("ids.json", '{"a": [true], "b": [1]}', r"record 1: True is no code"),
        ("ids.json", '{"a": ["<a_x>"], "b": [1]}', r"record 1: '<a_x>' is no code"),
        ("ids.json", '{"a": [99999999999], "b": [1]}', r"record 1: 99999999999 is no code"),
        ("ids.json", '{"a": {"code": 1}, "b": [1]}', r"record 1: .* is no list of codes"),
        ("ids.jsonl", '{"id": "a", "codes": [1, 0]}\n{"id": "b"}\n', r"line 2: there is no list of codes"),
        ("ids.jsonl", '{"codes": [1, 0]}\n', r"line 1: there is no id"),
        ("ids.jsonl", '{"id": "a", "codes": [1, 0]}\n{"id": "b", "codes": [1, 0]}\n', "say --last code"),
        ("ids.jsonl", '{"id": "a", "codes": [1]}\n{"id": "b", "codes": [0]}\n', "one number and no code"),
        ("ids.jsonl", '{"id": "a", "codes": [1, 0]}\nhm\n', r"line 2: broken JSON"),
        ("ids.csv", "id,code\na,1\n", r"there are no columns c1, c2"),
        ("ids.json", '{"a": [1], "a": [2]}', "a name stands twice in it"),
        ("ids.npy", "", r"ids\.npy"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_ids_is_one_sentence(tmp_path: Path, documents: Path, name: str, text: str, message: str):
    path = written(tmp_path / name, text)
    refused = lmindexer("import", path, "--documents", documents, "--out", tmp_path / "run")
    assert refused.code == 2
    assert re.search(message, refused.err), refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_lookup_goes_from_id_to_document(learned: Path):
    corpus, ids = documents_and_ids(Run.open(learned))
    wanted = ids["doc9"]
    for written in (",".join(map(str, wanted)), ".".join(map(str, wanted))):
        found = lmindexer("lookup", learned, written)
        assert found.out.split()[:2] == [".".join(map(str, wanted)), "doc9"]
        assert len(found.out.splitlines()) == 1
    below = [i for i in ids if ids[i][0] == wanted[0]]
    lines = lmindexer("lookup", learned, wanted[0], "--format", "jsonl", "-k", 100).out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == below
    first = json.loads(lines[0])
    assert first == {"id": below[0], "codes": list(ids[below[0]]), "text": corpus[corpus.row_of[below[0]]].text}
    few = lmindexer("lookup", learned, wanted[0], "-k", 2)
    assert len(few.out.splitlines()) == 2
    assert f"note: {len(below) - 2} more; see them with -k {len(below)}" in few.err


@pytest.mark.parametrize(
    ("asked", "message"),
    [("x", "'x' is no ID"), ("", "'' is no ID"), ("9999", "IDs begin with 0, 1"), ("0,9999", "after 0 come 0"),
     ("0,0,0,0", "have 3 numbers, not 4")],
)  # fmt: skip
def test_an_id_that_nobody_has(learned: Path, asked: str, message: str):
    refused = lmindexer("lookup", learned, asked)
    assert refused.code == 2
    assert message in refused.err
