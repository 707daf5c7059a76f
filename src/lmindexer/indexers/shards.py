"""The IDs of documents in many files, a shard each: what one worker does, and how their IDs become unique together.

No engine is named here. A worker writes the codes of a shard into a part; parts are then grouped three times, by ids,
by paths and by shards, and every grouping gets an Arrow table of its rows. The columns of a part: `shard` and `row`,
where a document stands; `id`; `text`, a digest; the codes `c1` ...; `suffix`, and whether it is `known`; `by_id` and
`by_path`, numbers to group by.
"""

import hashlib
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.files import reader_of
from lmindexer.corpus.remote import Shard, local_copy
from lmindexer.errors import InputError, excerpt
from lmindexer.files import json_text, sha256_of, write_atomically, write_text
from lmindexer.ids.table import IdTable, path_ids, rank_within
from lmindexer.indexers.registry import Indexer, load_indexer
from lmindexer.indexers.store import load_ids, read_like
from lmindexer.progress import Progress
from lmindexer.runs import Run

JOB, PARTS = "job.json", "parts"  # in the folder of the output
BUCKETS = 64  # groups a shard at most, by ids and by paths


@dataclass(frozen=True)
class Job:
    """Give the documents of `shards` the IDs of `run`, into the folder `out`; all machines see both folders."""

    run: Path
    out: Path
    shards: tuple[Shard, ...]
    id: str = ""
    text: tuple[str, ...] = ()
    reading: tuple[str, ...] = ()  # keywords of `Corpus.read` that are on

    def begin(self) -> bool:
        """Make the folder or go on in it; whether all is done there already.

        Raises InputError where it holds something else.
        """
        run, path = Run.open(self.run), self.out / JOB
        load_ids(run)  # a run without IDs is refused
        if path.is_file():
            begun = json.loads(path.read_text(encoding="utf-8"))
            if begun | {"finished": False} != self._facts:
                raise InputError(
                    f"{self.out} was begun with other files, settings or another state of the run; choose another --out"
                )
            return bool(begun["finished"])
        if self.out.exists() and (not self.out.is_dir() or any(not _is_hidden(left) for left in self.out.iterdir())):
            raise InputError(f"{self.out} exists already and holds no IDs in shards; choose another --out")
        if run.config.given_vectors:
            raise InputError(f"{self.run} was learned from vectors, and shards are read as texts; leave out --engine")
        (self.out / PARTS).mkdir(parents=True, exist_ok=True)
        write_text(path, json_text(self._facts, indent=2))
        return False

    def finish(self) -> None:
        """Drop what only going on needs."""
        write_text(self.out / JOB, json_text(self._facts | {"finished": True}, indent=2))
        for part in (self.out / PARTS).iterdir():
            part.unlink()
        (self.out / PARTS).rmdir()

    def missing(self) -> list[int]:
        """The shards that have no part, or one of a file that was another."""
        return [n for n in range(len(self.shards)) if not self.has_part(n)]

    def has_part(self, number: int) -> bool:
        """Whether the part of a shard is whole, and of the file as it is now."""
        path = self.part(number)
        return path.is_file() and self.facts_of(number).get("of") == asdict(self.shards[number])

    def facts_of(self, number: int) -> dict[str, Any]:
        """What a worker said of a shard: `of` which file, `documents`, `notes`."""
        facts: dict[str, Any] = json.loads(pq.read_schema(self.part(number)).metadata[b"facts"])
        return facts

    def part(self, number: int) -> Path:
        return self.out / PARTS / f"{number:05}.parquet"

    def result(self, number: int) -> Path:
        """The IDs of a shard, as `IdTable.save` writes them."""
        return self.out / f"ids-{number:05}.parquet"

    @cached_property
    def _facts(self) -> dict[str, Any]:
        run = {"path": str(self.run), "ids": sha256_of(Run.open(self.run).file("ids.parquet"))}
        read = {"id": self.id, "text": list(self.text), "reading": list(self.reading)}
        return {"run": run, "shards": [shard.name for shard in self.shards], **read, "finished": False}


class ShardIndexer:
    """One worker: a model in memory, and `Corpus` -> part for one shard after another."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.indexer: Indexer = load_indexer(job.run)

    def write_part(self, number: int) -> str:
        """Write the part of a shard; what was wrong with its file where there is none, else nothing."""
        try:
            table = self._part(number)
        except InputError as fault:
            return str(fault)
        write_atomically(self.job.part(number), lambda to: pq.write_table(table, to))
        return ""

    def _part(self, number: int) -> pa.Table:
        shard, notes = self.job.shards[number], io.StringIO()
        corpus = self._read(shard)
        learned, documents = self.indexer.ids, 0 if corpus is None else len(corpus)
        assert learned is not None
        if corpus is None:
            table = learned.select([])
            digests, known = list[str](), np.empty(0, bool)
        else:
            table = self.indexer.index(corpus, progress=Progress(None, warnings=notes))
            digests = [_digest(text) for texts in corpus.text_batches(1024) for text in texts]
            known = np.fromiter((doc_id in learned for doc_id in corpus.doc_ids), bool, documents)
        said = [line.removeprefix("note: ") for line in notes.getvalue().splitlines()]
        if corpus is not None:
            said += [*corpus.notes, *(f"skipped {count:,}: {why}" for why, count in corpus.skipped_reasons.items())]
        facts = json_text({"of": asdict(shard), "documents": documents, "notes": said})
        return _part_of(number, table, digests, known, learned, len(self.job.shards)).replace_schema_metadata(
            {"facts": facts}
        )

    def _read(self, shard: Shard) -> Corpus | None:
        """The documents of a shard; None of one that is empty, as some of many are."""
        job = self.job
        how: dict[str, Any] = dict.fromkeys(job.reading, True)
        with local_copy(shard) as path:
            try:
                assert self.indexer.run is not None
                return read_like(self.indexer.run, [path], job.text, job.id, **how)
            except InputError as fault:
                if not reader_of(path).survey(path).records:
                    return None
                raise InputError(str(fault).replace(str(path), shard.name)) from None


def _part_of(
    number: int, table: IdTable, digests: list[str], known: np.ndarray, learned: IdTable, shards: int
) -> pa.Table:
    """The part of shard `number`: IDs of its documents, where the suffix of a new one is the first that is free."""
    assert table.suffix is not None
    suffix = np.where(known, table.suffix, learned.next_suffix(table.codes)).astype(np.int32)
    buckets = BUCKETS * shards
    by_path = [zlib.crc32(path.tobytes()) % buckets for path in np.ascontiguousarray(table.codes)]
    columns: dict[str, Any] = {
        "shard": pa.array(np.full(len(table), number), pa.int32()),
        "row": pa.array(np.arange(len(table)), pa.int64()),
        "id": pa.array(table.doc_ids, pa.string()),
        "text": pa.array(digests, pa.string()),
        **{f"c{t}": pa.array(column, pa.int32()) for t, column in enumerate(table.codes.T, start=1)},
        "suffix": pa.array(suffix, pa.int32()),
        "known": pa.array(known, pa.bool_()),
        "by_id": pa.array([zlib.crc32(doc_id.encode()) % buckets for doc_id in table.doc_ids], pa.int32()),
        "by_path": pa.array(by_path, pa.int32()),
    }
    return pa.table(columns)


def without_repeats(rows: pa.Table, names: Sequence[str], skip_bad: bool) -> pa.Table:
    """Of each id the first document, in the order of the shards.

    Raises InputError where another has a different text; with `skip_bad` it is left out like those of the same text.
    """
    rows = _in_order(rows)
    ids, text = np.array(rows["id"].to_pylist(), dtype=object), np.array(rows["text"].to_pylist(), dtype=object)
    _, first, which = np.unique(ids, return_index=True, return_inverse=True)
    differs = np.flatnonzero(text != text[first[which]])
    if len(differs) and not skip_bad:
        two = (first[which[differs[0]]], differs[0])
        places = " and ".join(names[rows["shard"][int(row)].as_py()] for row in two)
        raise InputError(
            f"the id {excerpt(ids[differs[0]])} has different texts in {places}; rename one, or leave such records out "
            "with --skip-bad"
        )
    return rows.take(pa.array(np.sort(first)))


def numbered(rows: pa.Table) -> pa.Table:
    """The distinguishing last number of the documents that are not `known`, those of a path in the order of shards."""
    rows = _in_order(rows)
    new = ~np.array(rows["known"])
    suffix = np.array(rows["suffix"]).copy()
    suffix[new] += rank_within(path_ids(_codes(rows)[new])).astype(np.int32)
    return rows.set_column(rows.column_names.index("suffix"), "suffix", pa.array(suffix, pa.int32()))


def write_result(rows: pa.Table, job: Job, sizes: tuple[int, ...]) -> pa.Table:
    """Write the IDs of one shard; how many documents it has, and how many of them are new to the run."""
    rows = _in_order(rows)
    number = rows["shard"][0].as_py()
    table = IdTable(tuple(rows["id"].to_pylist()), _codes(rows), sizes, np.array(rows["suffix"]))
    table.save(job.result(number))
    new = int(np.count_nonzero(~np.array(rows["known"])))
    return pa.table({"shard": [number], "documents": [len(table)], "new": [new]})


def _in_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("shard", "ascending"), ("row", "ascending")])


def _codes(rows: pa.Table) -> np.ndarray:
    """The codes (N, T) int32."""
    positions = [name for name in rows.column_names if name[:1] == "c" and name[1:].isdigit()]
    return np.column_stack([np.array(rows[name], dtype=np.int32) for name in positions])


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _is_hidden(path: Path) -> bool:
    return path.name.startswith(".")
