"""lmindexer search: what it prints, and whom it sends away."""

import json
import re
from pathlib import Path

import pytest

from command_line import learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus


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
    assert lmindexer("search", run.parent / "random", "rose", "-k", 2, "--retriever", "bm25").code == 0


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("xylophone",), "no word of it, stop words aside, is in the documents;"),
        (("the of and",), "no word of it, stop words aside, is in the documents;"),
        (("rose", "--only", "sailing"), "is in the documents that the search is restricted to;"),
    ],
)
def test_nothing_found_is_told_and_why(run: Path, arguments: tuple[str, ...], why: str):
    answer = lmindexer("search", run, *arguments, "--retriever", "bm25")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.startswith(f"note: nothing found for '{arguments[0]}': ")
    assert why in answer.err
    assert len(answer.err.splitlines()) == 1
