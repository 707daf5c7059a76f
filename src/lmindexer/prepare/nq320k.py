"""Natural Questions as NQ320k: pages, one of each title, and all questions of train and dev (section 4.5)."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lmindexer.corpus.document import MAX_CHARACTERS, clean
from lmindexer.corpus.readers import JSON
from lmindexer.corpus.records import Record, sound_records
from lmindexer.errors import InputError
from lmindexer.prepare.msmarco import commands, search_counts
from lmindexer.prepare.paper import TABLE_8
from lmindexer.prepare.prepared import Prepared, counted
from lmindexer.prepare.raw_files import matching, missing
from lmindexer.prepare.writing import BeirFolder
from lmindexer.progress import Progress

_MARKUP = re.compile(r"(?<!\S)<[^<>\s]+>(?!\S)")  # in the simplified form a tag is one word: <P>, </Table>
_WORDS = re.compile(r"\w+|[^\w\s]")


def prepare(raw: Path, folder: Path, progress: Progress) -> Prepared:
    """Pages of train, then of dev; train questions to learn from, dev questions for the test."""
    files = {split: _files(raw, name) for split, name in (("train", "train"), ("test", "dev"))}
    pages: dict[str, str] = {}  # by title
    cut = 0
    with BeirFolder(folder) as beir:
        for split, paths in files.items():
            for page in counted(_pages(paths), progress, f"reading {split} questions", "questions"):
                key = title_key(page.title)
                if key not in pages:
                    pages[key] = str(len(pages))
                    text = page.text[: MAX_CHARACTERS - len(page.title) - 1]
                    cut += text != page.text
                    beir.document({"_id": pages[key], "title": page.title, "text": text})
                beir.query(page.id, page.question)
                beir.label(split, page.id, {pages[key]: 1.0})
    return Prepared(
        sources=(*files["train"], *files["test"]),
        counts=search_counts(beir, TABLE_8["nq320k"]),
        rules=(
            "of the pages with one title the first is kept, train before dev; titles are alike that differ in case, "
            "accents and white space alone",
            "the title is document_title, or where there is none that of the page's address",
            "every question is kept, with the page that it was asked of; dev questions are the test",
        ),
        commands=commands("nq320k"),
        notes=(f"{cut:,} pages are cut to {MAX_CHARACTERS:,} characters",) * bool(cut),
    )


def title_key(title: str) -> str:
    """The same for titles that differ in case, accents and white space alone; as published NQ320k has them by BERT."""
    plain = "".join(c for c in unicodedata.normalize("NFD", title.casefold()) if not unicodedata.combining(c))
    return " ".join(_WORDS.findall(plain))


class _Page:
    """A question, and the page that it was asked of. Its text is made when it is asked for: most pages repeat."""

    def __init__(self, where: str, record: Record) -> None:
        self._where, self._record = where, record
        self.id = self._value("example_id")
        self.question = clean(self._value("question_text"))
        self.title = clean(str(record.get("document_title") or "")) or self._title_of_address()

    @property
    def text(self) -> str:
        if isinstance(text := self._record.get("document_text"), str):
            return clean(_MARKUP.sub(" ", text))
        tokens = self._record.get("document_tokens")
        try:
            return clean(" ".join(token["token"] for token in tokens if not token["html_token"]))  # type: ignore[union-attr]
        except (TypeError, KeyError):
            raise self._fault("neither document_text nor document_tokens") from None

    def _value(self, name: str) -> str:
        value = self._record.get(name)
        if not isinstance(value, str | int) or not str(value).strip():
            raise self._fault(f"no {name}")
        return str(value)

    def _title_of_address(self) -> str:
        address = self._value("document_url").replace("&amp;", "&")
        titles = parse_qs(urlsplit(address).query).get("title")
        if not titles:
            raise self._fault("neither document_title nor a title in document_url")
        return clean(titles[0].replace("_", " "))

    def _fault(self, what: str) -> InputError:
        return InputError(f"{self._where}: there is {what}; this is no record of Natural Questions, so fetch it again")


def _pages(paths: list[Path]) -> Iterator[_Page]:
    seen: dict[str, Any] = {}
    for path in paths:
        for number, record in sound_records(path, "line", JSON):
            page = _Page(f"{path}, line {number}", record)
            if page.id in seen:
                raise InputError(f"{path}, line {number}: the question {page.id} was already in {seen[page.id]}")
            seen[page.id] = f"line {number} of {path.name}"
            yield page


def _files(raw: Path, split: str) -> list[Path]:
    """All files of a split, by name. Raises InputError for none."""
    patterns = (f"*nq-{split}*.jsonl", f"nq_{split}*.jsonl")
    found = matching(raw, *patterns)
    if not found:
        raise missing(raw, patterns)
    return sorted(found)
