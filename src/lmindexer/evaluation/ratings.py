"""Filled rating sheets: read them, and what they say of each method (appendix A.6, Table 13)."""

import codecs
import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import mean_intervals
from lmindexer.files import finite
from lmindexer.tables import table

COLUMNS = ("pair", "first document", "second document", "related")
ANSWERS = {"yes": 1, "y": 1, "1": 1, "true": 1, "no": 0, "n": 0, "0": 0, "false": 0, "": -1}
RESAMPLES = 10_000  # of the interval: sheets are small
SHOWN = 200  # characters of a wrong file's columns


@dataclass(frozen=True)
class MethodScore:
    """What all raters together said of one method; nan where nobody rated."""

    method: str
    pairs: int  # rated by at least one
    ratings: int
    related: int  # ratings that say yes
    unrated: int  # ratings left out
    accuracy: float  # related / ratings, as in Table 13
    interval: tuple[float, float]  # 95%

    def cells(self) -> tuple[str, ...]:
        """A row of the table."""
        low, high = self.interval
        accuracy = (f"{self.accuracy:.4f}", f"{low:.2f} to {high:.2f}") if self.ratings else ("-", "-")
        return (self.method, *accuracy, str(self.related), str(self.ratings), str(self.unrated))


@dataclass(frozen=True)
class Scores:
    """Table 13, and how far to trust it."""

    methods: tuple[MethodScore, ...]
    unrated: dict[str, tuple[int, ...]]  # by rater (the name of the file): numbers of the pairs left out
    agreement: float  # share of equal answers when two raters rate a pair; nan with one rater
    kappa: float  # Fleiss; nan with one rater, or when all answers are the same

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: nan becomes null."""
        return finite(asdict(self))

    def to_markdown(self) -> str:
        """The table, then a sentence each on agreement and on what was left out."""
        lines = table(
            ("method", "accuracy", "95% interval", "related", "rated", "unrated"), [m.cells() for m in self.methods]
        )
        if not math.isnan(self.agreement):
            kappa = "not defined, as all answers are the same" if math.isnan(self.kappa) else f"{self.kappa:.2f}"
            text = f"Of two answers to the same pair {self.agreement:.0%} are equal; Fleiss' kappa is {kappa}."
            lines += ["", f"{len(self.unrated)} raters. {text}"]
        for rater, left_out in self.unrated.items():
            if left_out:
                lines += ["", f"{rater} left out {len(left_out)}: {', '.join(map(str, left_out))}."]
        return "\n".join(lines) + "\n"


def read_sheet(path: Path) -> dict[str, int]:
    """The answer to each pair by its name: 1 = related, 0 = not, -1 = unrated.

    Also as spreadsheets save it again: other separators, another encoding (names and answers are ASCII),
    more columns, empty rows. Raises InputError when it is no sheet or says what is no answer.
    """
    if path.suffix.lower() in (".html", ".htm"):
        raise InputError(f"{path} is the sheet itself; give the CSV file that its button Save ratings makes")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"the sheet {path} cannot be read ({error.strerror}); check the path") from None
    is_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # Excel's "Unicode text"
    text = raw.decode("utf-16" if is_utf16 else "utf-8-sig", errors="replace")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        return _answers(path, rows)
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: {error}; save the sheet as CSV again") from None


def _answers(path: Path, rows: Any) -> dict[str, int]:
    """What `read_sheet` returns, of a csv.reader."""
    header = [name.strip().lower() for name in next(rows, [])]
    if any(header.count(name) != 1 for name in COLUMNS):
        wanted, found = ", ".join(map(repr, COLUMNS)), ", ".join(map(repr, header)) or "none"
        found = found if len(found) <= SHOWN else found[:SHOWN] + " …"
        raise InputError(f"{path} is not a rating sheet: its columns are {found}, and it needs each of {wanted} once")
    answers: dict[str, int] = {}
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        row += [""] * (len(header) - len(row))  # some programs drop empty cells at the end
        name, said = (row[header.index(column)].strip() for column in ("pair", "related"))
        if said.lower() not in ANSWERS:
            raise InputError(f"{path}, line {rows.line_num}: {said!r} is no answer; write yes or no (or y, n, 1, 0, "
                             "true, false), or nothing for unrated")  # fmt: skip
        if name in answers:
            raise InputError(f"{path}, line {rows.line_num}: pair {name!r} is there twice; keep one row of it")
        answers[name] = ANSWERS[said.lower()]
    return answers


def score(answers: np.ndarray, methods: Sequence[str], raters: Sequence[str]) -> Scores:
    """`answers` (raters, pairs) of 1, 0 and -1 = unrated; `methods` by pair, in the order of the sheet."""
    method_of = np.array(methods)
    return Scores(
        tuple(_method_score(method, answers[:, method_of == method]) for method in sorted(set(methods))),
        {rater: tuple((np.flatnonzero(row < 0) + 1).tolist()) for rater, row in zip(raters, answers, strict=True)},
        *fleiss_kappa((answers == 1).sum(axis=0), (answers >= 0).sum(axis=0)),
    )


def fleiss_kappa(yes: np.ndarray, rated: np.ndarray) -> tuple[float, float]:
    """Share of equal answers among two of a pair, and how far it is above chance (Fleiss 1971): 1 = always equal.

    `yes` of `rated` answers for each pair (N,); pairs with less than two answers do not count. Chance is two
    answers drawn from all. nan when there is nothing to compare, kappa also when all answers are the same.
    """
    yes, rated = yes[rated > 1], rated[rated > 1]
    if not len(rated):
        return math.nan, math.nan
    no = rated - yes
    equal = float(((yes * (yes - 1) + no * (no - 1)) / (rated * (rated - 1))).mean())
    share = yes.sum() / rated.sum()
    chance = float(share**2 + (1 - share) ** 2)
    return equal, (equal - chance) / (1 - chance) if chance < 1 else math.nan


def _method_score(method: str, answers: np.ndarray) -> MethodScore:
    """The interval takes pairs, not ratings, for the sample: raters who agree make no second pair of one."""
    rated = (answers >= 0).sum(axis=0)
    yes, rated = (answers == 1).sum(axis=0)[rated > 0], rated[rated > 0]  # of the pairs that somebody rated
    related, ratings = int(yes.sum()), int(rated.sum())
    accuracy = related / ratings if ratings else math.nan
    (interval,) = mean_intervals(yes[:, None], (0, 1), RESAMPLES, 0, rated)
    low, high = (interval.low, interval.high) if interval else (math.nan, math.nan)
    return MethodScore(method, len(rated), ratings, related, answers.size - ratings, accuracy, (low, high))
