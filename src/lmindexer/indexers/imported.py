"""IDs that were made elsewhere: read from a file and kept in a run like any other's."""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.config import IMPORTED, LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.files import find_files, reader_of
from lmindexer.corpus.json_records import MAPPING, layout, values
from lmindexer.corpus.readers import JSON, Reader, RecordError
from lmindexer.corpus.vectors import Source, Vectors
from lmindexer.errors import InputError, excerpt
from lmindexer.ids.table import IdTable
from lmindexer.indexers.judge import judge
from lmindexer.indexers.store import (
    NOT_LEARNED,
    begin_run,
    check_corpus,
    index_with,
    load_documents,
    load_ids,
    save_ids,
)
from lmindexer.progress import Progress
from lmindexer.runs import Run, writing

TOKEN = re.compile(r"<[^<>_]+_(\d+)>")  # a code as LETTER and LC-Rec write it: <a_17>
SUFFIX = "suffix"  # the column, or the name, of the number that only tells apart the documents of one path
CODE = re.compile(r"c(\d+)")  # the columns of the codes
LOST = 0.5  # of the documents; more is no note


class ImportedIndexer:
    """A run of imported IDs: documents that come later have none."""

    def __init__(self, config: LearnConfig) -> None:
        self.config = config
        self.run: Run | None = None
        self.ids: IdTable | None = None

    def fit(
        self,
        corpus: Corpus,
        out: str | Path,
        *,
        vectors: Source | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> "ImportedIndexer":
        """Raises InputError: there is nothing to learn."""
        raise InputError("imported IDs are not learned; bring them in with: lmindexer import IDS --documents FILE")

    @classmethod
    def load(cls, run: str | Path) -> "ImportedIndexer":
        """The indexer of a finished run folder. Raises InputError when it is none."""
        folder = Run.open(Path(run))
        indexer = cls(folder.config)
        indexer.run, indexer.ids = folder, load_ids(folder)
        return indexer

    def index(self, corpus: Corpus, *, vectors: Source | None = None, progress: Progress | None = None) -> IdTable:
        """The IDs of documents that have one. Raises InputError for any other: no model could give it."""

        def refuse(new: Corpus, given: Vectors | None) -> np.ndarray:
            assert self.run is not None
            raise InputError(
                f"{new.doc_ids[0]!r} is not in {self.run.path}, whose IDs were imported, and no model gives "
                "IDs to new documents; import them again with theirs"
            )

        return index_with(self.run, self.ids, corpus, vectors, refuse)

    def corpus(self) -> Corpus:
        """The documents that the IDs are of, as the run folder keeps them."""
        if self.run is None:
            raise InputError(NOT_LEARNED)
        return load_documents(self.run)


def import_ids(
    path: str | Path,
    corpus: Corpus,
    out: str | Path,
    *,
    last: str = "",
    keep_going: bool = False,
    progress: Progress | None = None,
) -> ImportedIndexer:
    """A run of the documents of `corpus` with the IDs in the file `path`, as `read_ids` reads them.

    Documents without an ID are left out, IDs without a document too; both are told. Raises InputError as `read_ids`,
    and where more than half of the documents have none, unless `keep_going`.
    """
    began, progress = time.monotonic(), progress or Progress()
    table = read_ids(Path(path), last)
    missing = [doc_id for doc_id in corpus.doc_ids if doc_id not in table]
    if len(missing) == len(corpus):
        raise InputError(
            f"no document has an ID in {path}: one of a document is {corpus.doc_ids[0]!r}, one of the file "
            f"{table.doc_ids[0]!r}; check that they belong together"
        )
    if missing:
        note = f"{len(missing):,} of {len(corpus):,} documents have no ID in {path} (the first: {missing[0]!r})"
        if len(missing) > LOST * len(corpus) and not keep_going:
            raise InputError(f"{note}; check that they belong together, or go on with --keep-going")
        progress.warn(f"{note}; they are left out")
        corpus = Corpus.from_documents((d for d in corpus if d.id in table), keep_empty=True)
    if others := len(table) - len(corpus):
        progress.warn(f"{others:,} of {len(table):,} IDs in {path} are of no document; they are left out")
    check_corpus(corpus)
    table = table.select([table.row_of[doc_id] for doc_id in corpus.doc_ids])
    config = LearnConfig(indexer=IMPORTED, sizes=table.sizes, device="cpu", precision="fp32")
    with writing(Path(out), wait=False, make=True):
        run = begin_run(config, corpus, Path(out), False, device="cpu", bf16=False)
        save_ids(run, table, corpus)
        progress.say("measuring the IDs")
        report = judge(config, table, corpus, None)
        run.write_json("report.json", report | {"seconds": round(time.monotonic() - began, 1)})
        run.finish()
    return ImportedIndexer.load(out)


def read_ids(path: Path, last: str = "") -> IdTable:
    """The IDs in a file, with a suffix.

    JSON Lines {"id": "B004", "codes": [17, 401, 0]}; JSON {"B004": ["<a_17>", "<b_401>"]} or {"B004": [17, 401]}; CSV,
    TSV or Parquet with a column id, then a column for each code, perhaps one called suffix. `last` says whether the
    last number of each ID is a "code" as the others are, so that a suffix is added, or already a "suffix", which only
    tells apart documents of one path; by default it is what `lmindexer export` writes in this format.

    Raises:
        InputError: that names file and place, for anything else.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the file with the IDs in it")
    find_files([path])  # raises where there is none, or none of a kind that can be read
    reader = reader_of(path)
    is_mapping = reader is JSON and layout(path) == MAPPING
    found, doc_ids, has_suffix = list[list[int]](), list[str](), last == SUFFIX
    for place, doc_id, numbers, named_suffix in _of_mapping(path) if is_mapping else _of_records(path, reader):
        read = [_code(number, f"{path}, {place}") for number in numbers]
        has_suffix = has_suffix or (named_suffix and not last)
        if not read or (found and len(read) != len(found[0])):
            raise InputError(
                f"{path}, {place}: the ID of {doc_id!r} has {len(read)} numbers, not {len(found[0]) if found else 1}; "
                "all must have the same number of them"
            )
        found.append(read)
        doc_ids.append(doc_id)
    if not found:
        raise InputError(f"{path} holds no ID")
    paths = np.array(found, dtype=np.int32)
    codes, suffix = (paths[:, :-1], paths[:, -1]) if has_suffix else (paths, None)
    if not codes.shape[1]:
        raise InputError(f"{path}: its IDs are one number and no code; say --last code if that is a code")
    table = IdTable(tuple(doc_ids), codes, tuple((codes.max(0) + 1).tolist()), suffix)
    if suffix is None:
        return table.with_suffix()
    try:
        table.check()
    except ValueError as error:
        raise InputError(f"{path}: {str(error).split(';')[0]}; if its last number is a code, say --last code") from None
    return table


Found = tuple[str, str, Sequence[Any], bool]  # place, id, codes, whether the last is called a suffix


def _of_mapping(path: Path) -> Iterator[Found]:
    for number, key, value in values(path, MAPPING):
        codes = value.get("codes") if isinstance(value, dict) else value
        if not isinstance(codes, list):
            raise InputError(f"{path}, record {number}: {excerpt(value)} is no list of codes")
        yield f"record {number}", str(key), codes, False


def _of_records(path: Path, reader: Reader) -> Iterator[Found]:
    for number, record in reader.records(path, ()):
        place = f"line {number}"
        if isinstance(record, RecordError):
            raise InputError(f"{path}, {place}: {record}")
        if record.get("id") in (None, ""):
            raise InputError(f"{path}, {place}: there is no id")
        if reader is JSON:
            if not isinstance(record.get("codes"), list):
                raise InputError(f"{path}, {place}: there is no list of codes, such as {{'id': 'a', 'codes': [17, 0]}}")
            yield place, str(record["id"]), record["codes"], True
        else:
            names = sorted((name for name in record if CODE.fullmatch(name)), key=lambda name: int(name[1:]))
            names += [SUFFIX] if SUFFIX in record else []
            if not names:
                raise InputError(f"{path}, {place}: there are no columns c1, c2, ... with the codes")
            yield place, str(record["id"]), [record[name] for name in names], names[-1] == SUFFIX


def _code(value: Any, place: str) -> int:
    """A code: a number, or a token such as <a_17>."""
    token = TOKEN.fullmatch(value.strip()) if isinstance(value, str) else None
    try:
        code = int(token.group(1)) if token else int(str(value).strip())
    except ValueError:
        code = -1
    if isinstance(value, bool) or not 0 <= code < 2**31:
        raise InputError(f"{place}: {excerpt(value)} is no code; a code is a number from 0 on, or a token as <a_17>")
    return code
