"""The files other tools judge by: TREC runs, out and in, and relevance judgements (qrels) of TREC and BEIR, in."""

import gzip
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lmindexer.errors import InputError
from lmindexer.files import write_atomically

Run = Mapping[str, Sequence[tuple[str, float]]]  # query -> documents and their scores, best first

ITERATIONS = {"0", "Q0"}  # the second field of TREC's four
HEADS = {"score", "grade", "relevance", "rel", "label"}  # last columns of a header
_WORD = re.compile("[^\\s\ud800-\udfff]+")  # what a file of words in UTF-8 can hold


def check_ids(ids: Iterable[str]) -> None:
    """Raises InputError for the first id that a run file cannot hold. Call it before a long search, too."""
    for doc_id in ids:
        if not _WORD.fullmatch(doc_id):
            raise InputError(f"a TREC run file parts its fields by white space and cannot hold {doc_id!r}; rename it")


def write_run(path: Path, run: Run, tag: str = "lmindexer") -> None:
    """Write lines `qid Q0 docid rank score tag`, ranks from 1. A query for which nothing was found leaves no line.

    Tools go by the score, in single precision, and order equal ones by id. So a score that does not fall is
    written as the next lower number: by the file, documents of one score keep the order they have here.

    Raises InputError for an id that is not one word, ValueError for scores that rise or are not finite.
    """
    check_ids([tag, *run, *(doc_id for found in run.values() for doc_id, _ in found)])
    for query_id, found in run.items():
        scores = np.array([score for _, score in found], np.float32)
        if not np.isfinite(scores).all() or (np.diff(scores) > 0).any():
            raise ValueError(f"the scores of query {query_id!r} must be finite and not rise: {scores[:10].tolist()}")

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for query_id, found in run.items():
                below = np.float32(np.inf)
                for rank, (doc_id, score) in enumerate(found, 1):
                    below = min(np.float32(score), np.nextafter(below, np.float32(-np.inf)))
                    file.write(f"{query_id} Q0 {doc_id} {rank} {below} {tag}\n")

    write_atomically(path, write)


def read_run(path: Path) -> dict[str, list[tuple[str, float]]]:
    """Read documents and scores by query, best first: by score, equal ones by rank. Plain or gzip.

    Raises InputError that names file and line.
    """
    run: dict[str, list[tuple[str, float, int]]] = {}
    seen: set[tuple[str, str]] = set()
    for number, line in _lines(path):
        fields = line.split()
        where = f"{path}, line {number}"
        if len(fields) != 6:
            raise InputError(f"{where}: {len(fields)} fields, not the 6 of a TREC run: qid Q0 docid rank score tag")
        query_id, _, doc_id, rank, score, _ = fields
        if not rank.removeprefix("-").isdecimal():
            raise InputError(f"{where}: the rank {rank!r} is no whole number; write 1, 2, 3, ...")
        if (query_id, doc_id) in seen:
            raise InputError(f"{where}: document {doc_id!r} is there twice for query {query_id!r}; keep one line of it")
        seen.add((query_id, doc_id))
        run.setdefault(query_id, []).append((doc_id, _number(score, where, "score"), int(rank)))
    if not run:
        raise InputError(f"{path} is empty; a TREC run has a line for each document found")
    return {
        query_id: [found[:2] for found in sorted(hits, key=lambda found: (-found[1], found[2]))]
        for query_id, hits in run.items()
    }


def read_qrels(path: Path) -> dict[str, dict[str, float]]:
    """Read grades by query and document: `query-id corpus-id score`, with or without header, or `qid 0 docid grade`.

    Fields are parted by tabs, else by white space; plain or gzip. Grades of 0 and below are kept as they are.
    Raises InputError that names file and line.
    """
    qrels: dict[str, dict[str, float]] = {}
    for number, line in _lines(path):
        fields = [field.strip() for field in line.split("\t" if "\t" in line else None)]
        where = f"{path}, line {number}"
        if len(fields) not in (3, 4) or not all(fields):
            raise InputError(f"{where}: neither `query-id corpus-id score` nor `qid 0 docid grade`; check its fields")
        if number == 1 and fields[-1].lower() in HEADS:
            continue
        if len(fields) == 3 and fields[1] in ITERATIONS and "\t" not in line:
            raise InputError(f"{where}: this is `qid {fields[1]} docid` without its grade; write `qid 0 docid grade`")
        query_id, doc_id, grade = fields[0], fields[-2], _number(fields[-1], where, "grade")
        if qrels.setdefault(query_id, {}).setdefault(doc_id, grade) != grade:
            raise InputError(f"{where}: document {doc_id!r} has two grades for query {query_id!r}; keep one line of it")
    if not qrels:
        raise InputError(f"{path} holds no judgements; write one a line: query-id corpus-id score")
    return qrels


def _number(text: str, where: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: the {what} {text!r} is no number; write one such as 1 or 0.5")
    return number


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give every line that is not blank, with its number."""
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a whole gzip file ({error}); fetch or compress it again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError as error:
        before = error.object.count(b"\n", 0, error.start)
        raise InputError(f"{path}, line {before + 1}: not UTF-8; convert the file, e.g. with iconv -t UTF-8") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield number, line
