"""The command line from inside a test: `lmindexer("learn", ...)`, with settings small enough for seconds."""

import contextlib
import gzip
import io
import json
from dataclasses import dataclass
from pathlib import Path

from lmindexer.cli import main
from lmindexer.corpus.documents import Corpus

SMALL = (
    "--sizes", "4,4", "--epochs", 1, "--warmup-epochs", 1, "--reconstructor-epochs", 1,
    "--settle-epochs", 1, "--batch-size", 32, "--device", "cpu",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a command left: its exit code and what it wrote to either stream."""

    code: int
    out: str
    err: str


def lmindexer(*arguments: object) -> Answer:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Answer(code, out.getvalue(), err.getvalue())


def learned(*arguments: object) -> Answer:
    """`lmindexer learn` with the small settings; it must go well."""
    answer = lmindexer("learn", *arguments, *SMALL)
    assert answer.code == 0, answer.err
    return answer


def write_items(corpus: Corpus, path: Path) -> Path:
    """The corpus as JSONL with the columns id, title and kind; packed where the name ends in .gz."""
    records = [{"id": d.id, "title": d.text, "kind": list(d.label)} for d in corpus]
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def entries(folder: Path) -> list[str]:
    """Every name below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
