"""`python -m bench.paper` from inside a test: on a tiny data set of the layout that the real ones have."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import write_items
from lmindexer.corpus.documents import Corpus

ROOT = Path(__file__).parent.parent
LEARN = (
    "sizes=4,4", "epochs=1", "warmup_epochs=1", "reconstructor_epochs=1", "settle_epochs=1", "batch_size=32",
    "device=cpu", "clusters=3", "leaf=8", "vae_epochs=3", "label=kind",
)  # fmt: skip
FINETUNE = ("epochs=1", "warmup_epochs=1", "dev_queries=5", "batch_size=64", "device=cpu", "precision=fp32")


class Paper:
    """The command, with settings small enough for seconds."""

    def __init__(self, data: Path, out: Path, encoder: Path, patch: pytest.MonkeyPatch, capture: Any) -> None:
        patch.syspath_prepend(str(ROOT))
        self.data, self.out, self.encoder, self._patch, self._capture = data, out, encoder, patch, capture

    def __call__(self, what: str, *more: object, data: object = "", seeds: str = "0") -> str:
        """What it prints."""
        from bench.paper import __main__ as command

        arguments = [what, "--data", data or self.data, "--out", self.out, "--seeds", seeds, "--quiet"]
        for setting in (*LEARN, f"backbone={self.encoder}", f"embeddings={self.encoder}"):
            arguments += ["--learn", setting]
        for setting in FINETUNE:
            arguments += ["--finetune", setting]
        self._patch.setattr(sys, "argv", ["paper", *map(str, (*arguments, *more))])
        command.main()
        return str(self._capture.readouterr().out)

    def refused(self, what: str, *more: object, data: object = "") -> str:
        """What it says when it stops."""
        with pytest.raises(SystemExit):
            self(what, *more, data=data)
        return str(self._capture.readouterr().err)


def rows(table: str) -> dict[str, list[str]]:
    """The lines of Markdown tables by their first cell; of a name that comes again the first."""
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        if line.startswith("| "):
            name, *cells = (cell.strip() for cell in line.split("|")[1:-1])
            found.setdefault(name, cells)
    return found


def write_data_set(folder: Path, corpus: Corpus) -> Path:
    """Items, the last two of them taken by nobody in training; sequences; and queries of the splits train and test."""
    folder.mkdir(parents=True)
    write_items(corpus, folder / "items.jsonl")
    ids = corpus.doc_ids
    users = [f"u{n} " + " ".join(ids[n : n + 5]) for n in range(20)]
    users += [f"late{n} {ids[n]} {ids[n + 1]} {ids[n + 2]} {ids[-1 - n]}" for n in range(2)]
    (folder / "sequences.txt").write_text("\n".join(users) + "\n")
    asked = [
        {"_id": f"q{n}", "query": " ".join(document.text.split()[:3]), "item_ids": [document.id], "split": split}
        for n, document in enumerate(corpus)
        for split in ("train" if n % 3 else "test",)
    ]
    (folder / "queries.jsonl").write_text("".join(json.dumps(query) + "\n" for query in asked))
    return folder
