"""What the fuzzer makes odd copies of: small runs of every kind, and whole files to ask them with."""

import contextlib
import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from command_line import SMALL, learned, lmindexer, write_items
from lmindexer.checkpoints import CHECKPOINT
from lmindexer.corpus.documents import Corpus, Document
from small_tasks import write_jsonl, write_queries, write_sequences
from tiny import save_checkpoints, small_corpus

FINISHED = ("random", "kmeans", "learned", "changed", "search", "recommend")  # runs in the home
STOPPED = ("learning", "finetuning")  # runs that a kill left in the middle
SMALL_FILES = ("items.jsonl", "more.jsonl", "queries.jsonl", "taken.txt", "ids.txt", "recipe.toml", "sheet.csv",
               "sheet.key.json")  # fmt: skip
TEACH = ("--epochs", 1, "--warmup-epochs", 1, "--batch-size", 64, "--device", "cpu", "--precision",
         "fp32", "--quiet")  # fmt: skip
RESUME = {  # by stopped run, the words that go on with it
    "learning": ["learn", "items.jsonl", "--text", "title", "--label", "kind", *SMALL, "--backbone", "bert"],
    "finetuning": ["finetune", "source", "--queries", "queries.jsonl", *TEACH],
}


@contextlib.contextmanager
def without_pictures() -> Iterator[None]:
    """A run's curves take a second to draw, and nobody reads them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lmindexer.explore.report.draw_curves", lambda run: None)
        yield


def make_home(folder: Path) -> None:
    """`make_runs` in a process of its own: one that has computed with torch must not part in two."""
    if (child := os.fork()) == 0:
        try:
            make_runs(folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "the runs could not be made"


def make_runs(folder: Path) -> None:
    """All of it, in a new folder."""
    folder.mkdir()
    with contextlib.chdir(folder), without_pictures():
        _make(folder)


def _make(folder: Path) -> None:
    corpus = Corpus.from_documents(list(small_corpus())[:24])
    save_checkpoints(folder, corpus, ("bert",))
    write_items(corpus, folder / "items.jsonl")
    more = [Document(f"new{n}", f"the rose and soil {n}", ("garden",)) for n in range(3)]
    write_items(Corpus.from_documents(more), folder / "more.jsonl")
    write_queries(folder / "queries.jsonl")
    write_sequences(folder / "taken.txt", corpus)
    _write_beir(folder / "beir", corpus)
    (folder / "ids.txt").write_text("doc3\ndoc5\ndoc7\n")
    (folder / "recipe.toml").write_text('sizes = [4, 4]\nepochs = 1\nindexer = "random"\nseed = 3\n')
    source = ["items.jsonl", "--text", "title", "--label", "kind"]
    for name, words in {
        "random": ["--indexer", "random"],
        "kmeans": ["--indexer", "rq-kmeans", "--embeddings", "bert"],
        "learned": ["--backbone", "bert"],
    }.items():
        learned(*source, "--out", name, "--quiet", *words)
    shutil.copytree(folder / "kmeans", folder / "changed")
    _do("add", "changed", "more.jsonl")
    _do("finetune", "kmeans", "--queries", "queries.jsonl", "--out", "search", *TEACH)
    _do("finetune", "learned", "taken.txt", "--out", "recommend", "--items", "both", *TEACH)
    _do("evaluate", "search", "--method", "bm25", "--metrics", "recall@3")
    _do("pairs", "kmeans", "--n", 5, "--depth", 1, "--out", "sheet.csv")
    (folder / "sheet.csv").write_text((folder / "sheet.csv").read_text().replace(",\n", ",yes\n"))
    shutil.copytree(folder / "kmeans", folder / "source")
    for name, words in RESUME.items():
        _stop(folder, name, words)


def _do(*words: object) -> None:
    answer = lmindexer(*words)
    assert answer.code == 0, (words, answer)


def _write_beir(folder: Path, corpus: Corpus) -> None:
    (folder / "qrels").mkdir(parents=True)
    write_jsonl(folder / "queries.jsonl", [{"_id": f"q{n}", "text": corpus[n].text[:20]} for n in range(9)])
    lines = ["query-id\tcorpus-id\tscore", *(f"q{n}\tdoc{n}\t{1 + n % 2}" for n in range(9))]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")


def _stop(folder: Path, name: str, words: list[object]) -> None:
    """A run that is stopped where its last checkpoint but one was written."""
    import lmindexer.training as training

    kept: list[Path] = []
    save: Callable[..., None] = training.save_checkpoint

    def keep(run: Path, *rest: object) -> None:
        save(run, *rest)
        kept.append(Path(shutil.copytree(run, folder / f"{name}-{len(kept)}")))

    training.save_checkpoint = keep
    try:
        _do(*words, "--out", name)
    finally:
        training.save_checkpoint = save
    shutil.rmtree(folder / name)
    kept[-2].rename(folder / name)
    for left in kept:
        shutil.rmtree(left, ignore_errors=True)
    assert (folder / name / CHECKPOINT).exists()
    assert json.loads((folder / name / "run.json").read_text())["state"] != "finished"
