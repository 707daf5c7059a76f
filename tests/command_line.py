"""The command line from inside a test: `lmindexer("learn", ...)`, with settings small enough for seconds."""

import contextlib
import dataclasses
import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lmindexer.cli import main
from lmindexer.config import LearnConfig, from_mapping
from lmindexer.corpus.documents import Corpus
from lmindexer.settings import counting

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


def counting_of(arguments: Sequence[object]) -> list[object]:
    """The arguments of `learn` without the settings that do not count for the --indexer among them."""
    given = dict(zip(map(str, arguments), map(str, arguments[1:]), strict=False))
    chosen = {name: given[f"--{name}"] for name in ("indexer", "embeddings") if f"--{name}" in given}
    count = {f.name for f in counting(from_mapping(chosen))}
    others = {f"--{f.name}".replace("_", "-") for f in dataclasses.fields(LearnConfig) if f.name not in count}
    kept, rest = list[object](), list(arguments)
    while rest:
        flag = rest.pop(0)
        if str(flag) in others:
            rest.pop(0)
        else:
            kept.append(flag)
    return kept


def learned(*arguments: object) -> Answer:
    """`lmindexer learn` with the small settings, as far as they count; it must go well."""
    answer = lmindexer("learn", *counting_of((*arguments, *SMALL)))
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
