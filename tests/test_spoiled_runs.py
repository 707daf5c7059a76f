"""Runs of the first format, whose files have no digests: what is wrong in them is a sentence all the same."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from command_line import lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.ids.table import IdTable
from lmindexer.runs import Run
from small_tasks import learn


@pytest.fixture(scope="module")
def old(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of before files were listed, another like it, and a document to come."""
    folder = tmp_path_factory.mktemp("old")
    learn(corpus, folder / "run")
    facts = {name: value for name, value in Run.open(folder / "run").facts.items() if name != "files"}
    Run(folder / "run").write_json("run.json", facts | {"format": 1})
    shutil.copytree(folder / "run", folder / "other")
    write_items(Corpus.from_documents([Document("new", "a rose")]), folder / "new.jsonl")
    return folder


def without_documents(run: Path) -> None:
    ids = IdTable.load(run / "ids.parquet")
    ids.select(range(2, len(ids))).save(run / "ids.parquet")


def with_more(run: Path) -> None:
    ids = IdTable.load(run / "ids.parquet")
    ids.add(["x"], np.zeros((1, len(ids.sizes)), np.int32)).save(run / "ids.parquet")


def without_suffix(run: Path) -> None:
    ids = IdTable.load(run / "ids.parquet")
    IdTable(ids.doc_ids, ids.codes, ids.sizes).save(run / "ids.parquet")


def other_sizes(run: Path) -> None:
    save_file({"sizes": torch.tensor([[6, 4]])}, run / "quantiser.safetensors")


def negative_sizes(run: Path) -> None:
    save_file({"sizes": torch.tensor([-6, 4])}, run / "quantiser.safetensors")


def report_with(name: str, value: object) -> Callable[[Path], None]:
    def spoil(run: Path) -> None:
        Run(run).write_json("report.json", Run(run).read_json("report.json") | {name: value})

    return spoil


def half_a_character(run: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"created": "\ud83d"}))


READ_DOCUMENTS = ("search", "inspect", "compare", "explore", "figures", "pairs", "add", "remove")
FAULTS: dict[str, tuple[Callable[[Path], None], tuple[str, ...], str]] = {
    "fewer IDs": (without_documents, READ_DOCUMENTS, "do not belong together; mend it with: lmindexer check"),
    "more IDs": (with_more, READ_DOCUMENTS, "do not belong together; mend it with: lmindexer check"),
    "no suffix": (without_suffix, (*READ_DOCUMENTS, "index", "export"), r"ids\.parquet is damaged \(its IDs have no"),
    "other sizes": (other_sizes, ("index", "add"), r"quantiser\.safetensors is not of the run's IDs"),
    "negative sizes": (negative_sizes, ("index", "add"), r"quantiser\.safetensors is not of the run's IDs"),
    "seconds": (report_with("seconds", "1"), ("inspect", "json", "compare"), r"report\.json is damaged"),
    "memory": (report_with("peak_gpu_bytes", "1"), ("inspect", "json", "compare"), r"report\.json is damaged"),
    "quality": (report_with("quality", ["1"]), ("inspect", "json", "compare"), r"report\.json is damaged"),
    "half": (half_a_character, ("inspect", "search", "add", "export"), r"run\.json is damaged"),
}
VERBS: dict[str, tuple[str, ...]] = {
    "search": ("search", "run", "rose", "--method", "bm25"),
    "inspect": ("inspect", "run"),
    "json": ("inspect", "run", "--format", "json"),
    "compare": ("compare", "run", "other"),
    "explore": ("explore", "run"),
    "figures": ("explore", "run", "--figures", "figures"),
    "pairs": ("pairs", "run", "--depth", "1", "--out", "pairs.html"),
    "index": ("index", "run", "new.jsonl", "--text", "title"),
    "add": ("add", "run", "new.jsonl", "--text", "title"),
    "remove": ("remove", "run", "doc5"),
    "export": ("export", "run"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_by_whoever_reads_it(fault: str, old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(shutil.copytree(old, tmp_path / "here"))
    spoil, verbs, told = FAULTS[fault]
    spoil(Path("run"))
    for verb in verbs:
        answer = lmindexer(*VERBS[verb])
        assert (answer.code, answer.out) == (2, ""), f"{verb}: {answer.out}{answer.err}"
        assert re.fullmatch(r"lmindexer: [^\n]+\n", answer.err), answer.err
        assert re.search(told, answer.err), answer.err


def test_whole_they_are_read(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(shutil.copytree(old, tmp_path / "here"))
    for verb, arguments in VERBS.items():
        answer = lmindexer(*arguments)
        assert answer.code == 0, f"{verb}: {answer.err}"


@pytest.mark.parametrize("arguments", [("search", "run", "x", "-k", "9" * 5000), ("export", "a\nb\tc"), ("no\nverb",)])
def test_a_mistake_is_one_short_line_whatever_it_quotes(arguments: tuple[str, ...]):
    answer = lmindexer(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert re.fullmatch(r"lmindexer: [^\n]{9,600}\n", answer.err), answer.err
    assert answer.err[:-1].isprintable()
