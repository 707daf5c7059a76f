"""Queries that a model writes; as long writing can be stopped, what it wrote is kept beside the file it goes to."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lmindexer.config import WritingConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.files import disk_is_full, json_text
from lmindexer.progress import Progress
from lmindexer.questions.pseudo_queries import PseudoQuery


def model_queries(
    corpus: Corpus,
    model: str | Path,
    per_document: int,
    config: WritingConfig,
    *,
    out: Path | None = None,
    resume: bool = False,
    progress: Progress,
) -> list[PseudoQuery]:
    """Queries that a seq2seq model writes, such as docT5query: a hub name or a folder.

    With `out` they are kept as they come in the file `part_of(out)`, which is the caller's to delete, and with `resume`
    writing goes on from there, with the same queries on a CPU as if it had not been stopped. Raises InputError as
    `load_query_writer` and `WrittenQueries.begin`.
    """
    from lmindexer.devices import choose_bf16
    from lmindexer.model.query_writer import load_query_writer

    writer = load_query_writer(str(model), config.device)
    bf16 = choose_bf16(config.precision, writer.backbone.model.device)
    config = replace(config, precision="bf16" if bf16 else "fp32")
    so_far = None
    if out is not None:
        how = asdict(config) | {"device": "", "per_document": per_document}
        so_far = WrittenQueries.begin(out, f"{writer.fingerprint} {corpus.fingerprint} {json_text(how)}", resume)
    written = writer.write(
        corpus.texts(),
        per_document,
        config,
        done=so_far.queries if so_far else None,
        keep=so_far.keep if so_far else None,
        progress=progress,
    )
    queries = [
        PseudoQuery(doc_id, query, "model")
        for doc_id, queries in zip(corpus.doc_ids, written, strict=True)
        for query in queries
    ]
    asked = min(per_document, config.beams or per_document) * len(corpus)
    if len(queries) < asked:
        progress.note(
            f"{asked - len(queries):,} of {asked:,} queries that the model wrote are empty or the same as another of "
            "their document, and left out"
        )
    return queries


def part_of(out: Path) -> Path:
    """Where a model's queries are kept until the file `out` is whole."""
    return out.with_name(f"{out.name}.part")


@dataclass(frozen=True)
class WrittenQueries:
    """The queries of rows of a corpus, a batch a line; make one with `begin`."""

    path: Path
    queries: dict[int, list[str]]

    @classmethod
    def begin(cls, out: Path, made_of: str, resume: bool) -> "WrittenQueries":
        """What was written for `out` from the same documents, by the same model and settings: `made_of` names them.

        A line that a kill cut short is left out. Raises InputError where something was written and is not to be gone
        on with, or was made of something else.
        """
        path, first = part_of(out), json_text({"made_of": made_of}) + "\n"
        if not path.exists():
            path.write_text(first, encoding="utf-8")
            return cls(path, {})
        if not resume:
            raise InputError(f"{path} has what a stopped command wrote; go on with --resume, or delete it")
        lines = path.read_bytes().splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        if lines[:1] != [first.encode()]:
            raise InputError(f"{path} is of other documents, another model or other settings; delete it to start anew")
        try:
            queries = {int(row): list(map(str, texts)) for line in lines[1:] for row, texts in json.loads(line).items()}
        except (ValueError, TypeError, AttributeError):
            raise InputError(f"{path} is damaged; delete it to start anew") from None
        with path.open("rb+") as file:
            file.truncate(sum(map(len, lines)))
        return cls(path, queries)

    def keep(self, queries: Mapping[int, list[str]]) -> None:
        """Add a batch. Raises InputError when the disk is full."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json_text(queries) + "\n")
        except OSError as error:
            if not disk_is_full(error):
                raise
            raise InputError(
                f"no space left on {self.path.parent.resolve()}; free some and go on with --resume"
            ) from error
