"""Files, or records in memory, become documents: each record is read once.

It is a document then, one that was left out, or one that is there twice.
Two passes: the first finds which columns hold what, over all records; the second reads them. What they count must
agree.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lmindexer.corpus.cells import Cells
from lmindexer.corpus.document import Document, checked_text
from lmindexer.corpus.fields import ID_NAMES, TEXT_NAMES, Fields, usual_names, usual_text
from lmindexer.corpus.files import Paths, Readable, passed_over, readables, reader_of
from lmindexer.corpus.memory import Records
from lmindexer.corpus.records import Record, RecordError, Survey
from lmindexer.errors import InputError, excerpt

LOST = 0.5  # of the records; more is no note


class Reading:
    """The documents of `paths`; afterwards `fields`, `skipped` and `notes` say how they were read."""

    def __init__(
        self,
        paths: Paths | Records,
        *,
        id: str = "",
        text: Sequence[str] = (),
        label: str = "",
        like: Fields | None = None,
        skip_bad: bool = False,
        keep_empty: bool = False,
        keep_markup: bool = False,
        keep_going: bool = False,
        textless: bool = False,
    ) -> None:
        self.textless = textless
        self.files = readables(paths)
        self.surveys = [reader_of(path).survey(path) for path in self.files]
        self.notes = [*passed_over(paths), *(note for survey in self.surveys for note in survey.notes)]
        keep_markup = keep_markup or (like is not None and like.keep_markup)
        chosen = [
            self._fields(path, survey, id, text, label, like)
            for path, survey in zip(self.files, self.surveys, strict=True)
        ]
        names = {name for fields in chosen for name in fields.text}
        order = [name for fields in chosen for name in fields.text] if text or like else TEXT_NAMES
        shared = tuple(dict.fromkeys(name for name in (*order, *sorted(names)) if name in names))
        self.by_file = [replace(fields, text=shared, keep_markup=keep_markup) for fields in chosen]
        if textless and not shared and like is None:
            self.notes.append("no column is read as text; name some with --text to see words in reports and trees")
        sound = (fields for fields, survey in zip(self.by_file, self.surveys, strict=True) if survey.columns)
        self.fields = next(sound, self.by_file[0])
        self.skip_bad, self.keep_empty, self.keep_going = skip_bad, keep_empty or textless, keep_going
        self.record_of = array("q")  # of each document, counted from 0 over all files
        self.cells = Cells(keep_markup)
        self.skipped: Counter[str] = Counter()
        self.repeated = self.relabelled = 0
        self.first_skipped = ""
        self.fractions = 0
        self._seen: dict[str, tuple[int, int, int, int]] = {}  # id -> file, number, hash of text and of label

    @property
    def records(self) -> int:
        """How many there are in the files, sound or not."""
        return sum(survey.records for survey in self.surveys)

    def documents(self) -> Iterator[Document]:
        """Raises InputError for the first bad record, or with `skip_bad` when most records are."""
        documents = before = 0
        for n, (path, survey) in enumerate(zip(self.files, self.surveys, strict=True)):
            count = 0
            for number, record in reader_of(path).records(path, self.by_file[n].names):
                count += 1
                try:
                    document = self._document(n, number, record)
                except RecordError as fault:
                    where = f"{path}, {survey.unit} {number}"
                    if not self.skip_bad:
                        raise InputError(f"{where}: {fault}, or leave such records out with --skip-bad") from None
                    self.skipped[fault.reason] += 1
                    self.first_skipped = self.first_skipped or f"{where}: {fault}"
                else:
                    if document is not None:
                        documents += 1
                        self.record_of.append(before + count - 1)
                        yield document
            if count != survey.records:
                raise InputError(
                    f"{path} had {survey.records:,} records and now {count:,}; leave it as it is while read"
                )
            before += count
        if documents + self.skipped.total() + self.repeated != self.records:
            raise ValueError(f"of {self.records} records {documents} are documents and {self.skipped} left out")
        self._finish(documents)

    def _finish(self, documents: int) -> None:
        reasons = ", ".join(f"{count:,} x {reason}" for reason, count in self.skipped.most_common())
        if not documents:
            if self.skipped:
                raise InputError(f"every record of {self._listed()} was skipped ({reasons}); check the first lines")
            raise InputError(f"there are no documents in {self._listed()}; give at least one record")
        if self.skipped.total() > LOST * self.records and not self.keep_going:
            raise InputError(
                f"{self.skipped.total():,} of {self.records:,} records would be left out ({reasons}; the first: "
                f"{self.first_skipped}); mend the file, or go on without them with --keep-going"
            )
        if self.repeated:
            other = f"; {self.relabelled:,} of them have another label, and the first counts" if self.relabelled else ""
            self.notes.append(f"{self.repeated:,} records repeat the id and text of another and are left out{other}")
        if self.fractions:
            self.notes.append(
                f"{self.fractions:,} ids are written like 17.0; a log of what users took must name them so, too"
            )
        self.notes += self.cells.notes()

    def _document(self, n: int, number: int, record: Record | RecordError) -> Document | None:
        """None for one whose id was there before with the same text."""
        if isinstance(record, RecordError):
            raise record
        fields = self.by_file[n]
        id = fields.id_of(record)
        self.fractions += id.endswith(".0") and id[:-2].isdecimal()
        parts = [self.cells.text(record.get(name), name) for name in fields.text]
        text = checked_text(parts, ", ".join(map(excerpt, fields.text[:5])), self.keep_empty)
        label = self.cells.label(record.get(fields.label), fields.label) if fields.label else ()
        first = self._seen.setdefault(id, (n, number, hash(text), hash(label)))
        if first[:2] == (n, number):
            return Document(id, text, label)
        if first[2] == hash(text):
            self.repeated += 1
            self.relabelled += first[3] != hash(label)
            return None
        place = f"{self.files[first[0]]}, {self.surveys[first[0]].unit} {first[1]}"
        raise RecordError("duplicate id", f"the id {excerpt(id)} was already in {place}; rename one")

    def _fields(
        self, path: Readable, survey: Survey, id: str, text: Sequence[str], label: str, like: Fields | None
    ) -> Fields:
        columns = survey.columns
        if not columns:  # without a single sound record there is nothing to check; its faults come later
            return Fields(id or ID_NAMES[0], tuple(text), label)
        if like is not None:
            text = text or self._of_run(path, columns, like)
            id = id or like.id
            label = label or (like.label if like.label in columns else "")
        if not id:
            self._note_other_ids(path, columns)
        return Fields.choose(path, columns, id=id, text=text, label=label, headed=survey.headed,
                             textless=self.textless)  # fmt: skip

    def _of_run(self, path: Readable, columns: dict[str, bool], like: Fields) -> tuple[str, ...]:
        """The columns that a run was learned from; some may be missing where records need not be alike."""
        present = tuple(name for name in like.text if name in columns)
        if not present and not self.textless:
            return like.text  # to be refused by name
        if len(present) < len(like.text):
            missing = ", ".join(excerpt(name) for name in like.text if name not in present)
            self.notes.append(f"{path} has no column {missing}, which the run was learned from")
        if other := [name for name in usual_text(columns) if name not in like.text]:
            self.notes.append(f"{path} has {', '.join(map(excerpt, other))}, too, which the run was not learned from")
        return present

    def _note_other_ids(self, path: Readable, columns: dict[str, bool]) -> None:
        chosen, *others = usual_names(columns, ID_NAMES) or ("",)
        if others:
            other = ", ".join(map(excerpt, others[:3]))
            self.notes.append(f"ids of {path} are taken from {excerpt(chosen)}, not from {other}; choose with --id")

    def _listed(self) -> str:
        more = f" and {len(self.files) - 3} more" if len(self.files) > 3 else ""
        return ", ".join(map(str, self.files[:3])) + more
