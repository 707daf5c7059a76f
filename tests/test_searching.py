"""lmindexer search: what it prints, and whom it sends away."""

import io
import json
import re
import shutil
from pathlib import Path

import pytest

from command_line import learned, lmindexer, write_items
from lmindexer.cli.common import ids_in
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.methods.registry import METHODS, TEXT


@pytest.fixture(scope="module")
def run(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    items = write_items(corpus, folder / "items.jsonl")
    learned(items, "--out", folder / "run", "--label", "kind", "--backbone", checkpoints["bert"])
    learned(items, "--out", folder / "random", "--indexer", "random")
    return folder / "run"


def test_it_prints_score_id_and_text(run: Path, corpus: Corpus):
    answer = lmindexer("search", run, "old", "rose", "-k", 3)
    assert answer.code == 0
    assert answer.err == "note: this run is not fine-tuned; queries are read as if they were documents\n"
    assert len(answer.out.splitlines()) == 3
    told = [
        json.loads(line) for line in lmindexer("search", run, "old rose", "-k", 3, "--format", "jsonl").out.splitlines()
    ]
    assert [line.split()[2] for line in answer.out.splitlines()] == [each["id"] for each in told]
    assert all(each["text"] == corpus[corpus.row_of[each["id"]]].text for each in told)
    assert [(each["query"], each["rank"]) for each in told] == [("old rose", n) for n in (1, 2, 3)]
    exact = lmindexer("search", run, "old rose", "-k", 3, "--exact", "--format", "jsonl").out.splitlines()
    assert json.loads(exact[0])["score"] >= told[0]["score"]


def test_only_documents_of_a_label_or_a_list(run: Path, corpus: Corpus, tmp_path: Path):
    labels = {d.id: d.label for d in corpus}
    lines = lmindexer(
        "search", run, "rose", "-k", 80, "--only", "garden > garden0", "--format", "jsonl"
    ).out.splitlines()
    found = [json.loads(line)["id"] for line in lines]
    assert sorted(found) == sorted(name for name in labels if labels[name] == ("garden", "garden0"))
    (tmp_path / "some.txt").write_text("doc1\ndoc6\n")
    lines = lmindexer("search", run, "rose", "--only-ids", tmp_path / "some.txt").out.splitlines()
    assert sorted(line.split()[2] for line in lines) == ["doc1", "doc6"]
    both = lmindexer("search", run, "rose", "--only", "garden", "--only-ids", tmp_path / "some.txt")
    wanted = [name for name in ("doc1", "doc6") if labels[name][0] == "garden"]
    assert sorted(line.split()[2] for line in both.out.splitlines()) == wanted


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("rose", "--only", "nowhere"), "no document of .* has the label 'nowhere'; labels begin with garden, kitchen"),
        (("  ",), "query 1 is empty"),
        (("rose", "-k", "0"), "Invalid value for '-k'"),
        (("rose", "--only-ids", "nowhere.txt"), r"nowhere\.txt: No such file"),
    ],
)
def test_mistakes_are_one_sentence(run: Path, arguments: tuple[str, ...], told: str):
    answer = lmindexer("search", run, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert len(answer.err.splitlines()) == 1
    assert re.search(told, answer.err), answer.err


def test_a_long_query_is_cut_and_that_is_said(run: Path):
    answer = lmindexer("search", run, "rose " * 500, "-k", 1)
    assert answer.code == 0
    assert "of the query's 501 tokens the first 64 are read" in answer.err


def test_a_run_without_a_model_is_refused(run: Path):
    answer = lmindexer("search", run.parent / "random", "rose")
    assert answer.code == 2
    assert "was learned by random, which has no model to generate IDs" in answer.err
    assert lmindexer("search", run.parent / "random", "rose", "-k", 2, "--method", "bm25").code == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("xylophone",), "no word of it is in the documents, stop words"),
        (("the xylophone",), "no word of it is in the documents, stop words"),
        (("?!",), "no word of it is in the documents, stop words"),
        (("rose", "--only", "sailing"), "is in the documents that the search is restricted to, "),
    ],
)
def test_nothing_found_is_told_and_why(run: Path, arguments: tuple[str, ...], why: str):
    answer = lmindexer("search", run, *arguments, "--method", "bm25")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.startswith(f"note: nothing found for '{arguments[0]}': ")
    assert why in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_note_is_short_whatever_it_quotes(run: Path):
    answer = lmindexer("search", run, "x" * 5000, "--method", "bm25")
    assert answer.err.startswith("note: nothing found for 'xxxxx")
    assert len(answer.err) < 300


def test_hybrid_tells_where_it_has_no_words_to_go_by(run: Path):
    hybrid = ("--method", "hybrid", "-k", 2)
    told = "note: no document has a word of 'xylophone'; generated IDs alone answer it"
    answer = lmindexer("search", run, "xylophone", *hybrid)
    assert (answer.code, len(answer.out.splitlines())) == (0, 2)
    assert told in answer.err
    assert "no document has a word" not in lmindexer("search", run, "rose", *hybrid).err
    assert "no document has a word" not in lmindexer("search", run, "xylophone", *hybrid, "--partner", "dense").err


@pytest.mark.parametrize("method", [n for n, m in METHODS.items() if TEXT in m.reads and not m.only_taught])
def test_a_query_of_another_encoding_is_refused(run: Path, method: str):
    query = b"caf\xe9 bridge".decode("utf-8", "surrogateescape")  # as Python hands it on
    answer = lmindexer("search", run, query, "--method", method)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"lmindexer: query 1 is not in UTF-8: {query!r}; write it in that encoding\n"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a,b", ["a,b"]),  # known, as a whole
        (" a,b ", ["a,b"]),
        ("a, c ,,d", ["a", "c", "d"]),
        ('"a,b",c', ["a,b", "c"]),
        ('c, "a,b"', ["c", "a,b"]),
        ('"a","b"', ["a", "b"]),
        ('"say ""hi"", twice",12"', ['say "hi", twice', '12"']),
        (",", []),
    ],
)
def test_ids_of_a_list(text: str, ids: list[str]):
    assert ids_in(text, {"a,b", "a"}) == ids


@pytest.mark.parametrize("text", ['"a,b', '"a"b,c'])
def test_a_list_with_a_lost_quotation_mark_is_refused(text: str):
    with pytest.raises(InputError, match="put an id with a comma into quotation marks"):
        ids_in(text, {"a"})


def test_ids_with_commas_can_be_asked_for(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In every place that takes ids: --history, a line of it, --only-ids, remove and its --from."""
    ids = ["a,b", 'c"d', "e\u2028f", "plain"]
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    new = Corpus.from_documents(Document(doc_id, f"a rose {n}") for n, doc_id in enumerate(ids))
    assert lmindexer("add", copy, write_items(new, tmp_path / "new.jsonl")).code == 0

    def history(text: str) -> list[str]:
        answer = lmindexer("search", copy, "--history", text, "--method", "dense", "-k", 1, "--format", "jsonl")
        assert answer.code == 0, answer.err
        found: list[str] = json.loads(answer.out)["history"]
        return found

    assert history("a,b") == ["a,b"]
    assert history('"a,b",plain') == ["a,b", "plain"]
    assert history('plain, "c""d"') == ["plain", 'c"d']
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'"a,b",plain\n'), "ascii"))
    assert history("-") == ["a,b", "plain"]
    (tmp_path / "ids.txt").write_text("".join(f"{doc_id}\n" for doc_id in ids), encoding="utf-8")
    answer = lmindexer("search", copy, "rose", "--only-ids", tmp_path / "ids.txt", "--method", "dense",
                       "--format", "jsonl")  # fmt: skip
    assert sorted(json.loads(line)["id"] for line in answer.out.strip().split("\n")) == sorted(ids)
    assert lmindexer("remove", copy, "a,b").err == "1 documents removed\n"
    (tmp_path / "ids.txt").write_text("".join(f"{doc_id}\n" for doc_id in ids[1:]), encoding="utf-8")
    assert lmindexer("remove", copy, "--from", tmp_path / "ids.txt").err == "3 documents removed\n"
