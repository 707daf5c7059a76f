"""Methods asked the same questions, and how well each answered: one way for queries and for histories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import Judged, Metric, judge
from lmindexer.evaluation.significance import Difference, differences_to_first, to_dict, to_table
from lmindexer.extras import optional
from lmindexer.methods.retriever import ByWords, Hit, Retriever
from lmindexer.progress import Progress
from lmindexer.questions.queries import Queries
from lmindexer.questions.questions import HISTORY, TEXT, Question, Questions

if TYPE_CHECKING:
    import pandas

AT_ONCE = 256  # questions in one call, so that progress shows; retrievers read as many or a part of them at a time

Lists = list[list[Hit]]


class Answers(Protocol):
    """What can be evaluated: a retriever, or anything else that answers as one does."""

    def answer(self, questions: Sequence[Any], k: int = ..., /) -> list[list[Hit]]:
        """The best k documents for each question, best first."""
        ...


@dataclass(frozen=True, repr=False)
class Table:
    """The methods side by side on some of the questions; `differences` of each method to the first, by metric."""

    about: str  # which questions and lists, in whole sentences
    judged: dict[str, Judged]
    differences: dict[str, dict[str, Difference]]
    hits: dict[str, Lists]

    @property
    def questions(self) -> int:
        """How many questions were asked."""
        return len(next(iter(self.judged.values())).query_ids)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "about": self.about,
            "questions": self.questions,
            "methods": to_dict(self.judged, self.differences),
        }

    def to_markdown(self) -> str:
        """A row a metric, a column a method: mean (95 % interval), and p of the difference to the first."""
        return "\n".join(to_table(self.judged, self.differences, list(next(iter(self.judged.values())).values))) + "\n"


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What `evaluate_methods` found.

    Of queries there is the table "all". Of histories there are "as_is", the lists as they are; "masked", without the
    items of the user's own history; and "unseen", masked, of the users whose next item is in no training part, where
    there are such.
    """

    kind: str  # of the questions
    tables: dict[str, Table]
    notes: tuple[str, ...]  # what was left out or missing, and how it was judged

    @property
    def first(self) -> Table:
        """The table of all questions and whole lists."""
        return next(iter(self.tables.values()))

    def __repr__(self) -> str:
        methods = ", ".join(self.first.judged)
        return f"Evaluation({methods}; {self.first.questions:,} questions)"

    def __str__(self) -> str:
        return self.to_markdown()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def to_pandas(self) -> "pandas.DataFrame":
        """A row a table, method and metric, with the mean, its interval, and p of the difference to the first method.

        Raises InputError where pandas is not installed.
        """
        return optional("pandas", "to_pandas()").DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `to_pandas`."""
        return [
            {"table": name, "method": method, "metric": metric, "mean": mean, **_bounds(judged, metric),
             "p": table.differences[method][metric].p_holm if method in table.differences else None}
            for name, table in self.tables.items()
            for method, judged in table.judged.items()
            for metric, mean in judged.means.items()
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        tables = {name: table.to_dict() for name, table in self.tables.items()}
        return {"kind": self.kind, "tables": tables, "notes": list(self.notes)}

    def to_markdown(self) -> str:
        """The tables, each after what it is about, and the notes."""
        notes = [f"Note: {note}." for note in self.notes]
        if self.kind == TEXT:
            return "\n".join([self.first.to_markdown().rstrip("\n"), *notes]) + "\n"
        parts = [f"{table.about}\n\n{table.to_markdown()}" for table in self.tables.values()]
        return "\n".join(["A query here is a user's history.\n", *parts, *(f"{note}\n" for note in notes)])


def _bounds(judged: Judged, metric: str) -> dict[str, float | None]:
    interval = judged.intervals[metric]
    return {"low": interval.low if interval else None, "high": interval.high if interval else None}


def evaluate_methods(
    methods: Mapping[str, Answers],
    questions: Questions | Queries,
    metrics: Sequence[Metric],
    *,
    level: float = 0.0,
    leave_self_out: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask every method all questions, as deep as the metrics look, and judge the documents that it finds.

    A document is relevant from the grade `level` on (see `judge`). With `leave_self_out` a query that is itself a
    document, of the same id, is neither found nor relevant, as ArguAna has it: later documents move up. Differences
    are to the first method, paired by question. Raises InputError where there is no question.
    """
    questions = questions.questions if isinstance(questions, Queries) else questions
    if not len(questions):
        raise InputError("there is no question to evaluate with; users need 3 items or more, queries an answer")
    k = max(metric.k for metric in metrics)
    hidden, relevant = [frozenset[str]()] * len(questions), questions.relevant
    if questions.kind == HISTORY:
        hidden = [frozenset(history) for history in questions.asked]
    elif leave_self_out:
        hidden = [frozenset((id, *questions.joined_ids.get(id, ()))) for id in questions.query_ids]
        relevant = tuple(
            {doc_id: grade for doc_id, grade in grades.items() if doc_id not in itself}
            for grades, itself in zip(relevant, hidden, strict=True)
        )
    whole, without = dict[str, Lists](), dict[str, Lists]()
    for name, method in methods.items():
        found = _ask(name, method, questions.asked, [k + len(ids) for ids in hidden], progress)
        whole[name] = [hits[:k] for hits in found]
        without[name] = [
            [hit for hit in hits if hit.doc_id not in ids][:k] for hits, ids in zip(found, hidden, strict=True)
        ]

    def table(about: str, lists: Mapping[str, Lists], places: Sequence[int]) -> Table:
        hits = {name: [all_hits[n] for n in places] for name, all_hits in lists.items()}
        ids, answers = [questions.query_ids[n] for n in places], [relevant[n] for n in places]
        judged = {
            name: judge(
                ids, [[hit.doc_id for hit in found] for found in some], answers, metrics, level=level, seed=seed
            )
            for name, some in hits.items()
        }
        return Table(about, judged, differences_to_first(judged, [str(metric) for metric in metrics], seed=seed), hits)

    everyone = range(len(questions))
    notes = list(questions.notes)
    if questions.kind == TEXT:
        tables = {"all": table(f"All {len(questions):,} queries.", without, everyone)}
        notes += next(iter(tables["all"].judged.values())).notes
        notes += [f"{name} scores {m.formula}" for name, m in methods.items() if isinstance(m, Retriever) and m.formula]
        notes += _notes_of_words(methods, [text for text in questions.asked if isinstance(text, str)])
    else:
        tables = {
            "as_is": table(_about_as_is(questions), whole, everyone),
            "masked": table(_about_masked(questions), without, everyone),
        }
        if questions.unseen:
            tables["unseen"] = table(_about_unseen(questions), without, questions.unseen)
    if level > 0:
        notes.append(f"documents of a grade of {level:g} or more are relevant; ndcg takes the grades as they are")
    if leave_self_out:
        notes.append("a query that is itself a document does not find it")
    return Evaluation(questions.kind, tables, tuple(notes))


def _about_as_is(questions: Questions) -> str:
    return f"As recommended: {len(questions):,} users, a history each, and the one item that came next."


def _about_masked(questions: Questions) -> str:
    pairs = zip(questions.relevant, questions.asked, strict=True)
    repeats = sum(not grades.keys().isdisjoint(history) for grades, history in pairs)
    masked = "The same lists without the items of the user's own history; later items move up."
    if repeats:
        masked += f" {repeats:,} of {len(questions):,} users took an item again, which these lists cannot hold."
    return masked


def _about_unseen(questions: Questions) -> str:
    new = f"{len(questions.unseen):,} of {len(questions):,} users"
    return (
        f"Items new to the recommender: the next item of {new} is in no training part. These users alone, without "
        "their own history."
    )


def _notes_of_words(methods: Mapping[str, Answers], texts: Sequence[str]) -> list[str]:
    """How many queries each method that goes by words has nothing to go by for."""
    counts = {name: len(m.without_words(texts)) for name, m in methods.items() if isinstance(m, ByWords)}
    return [
        f"{count:,} of {len(texts):,} queries have no word that any document has, so {name} finds nothing by words"
        for name, count in counts.items()
        if count
    ]


def _ask(
    name: str, method: Answers, questions: Sequence[Question], depths: Sequence[int], progress: Progress | None
) -> Lists:
    """The first `depths[n]` documents for question n, asked in parts so that progress shows.

    Questions of like depth are asked together: how deep one is asked depends on no other.
    """
    alike: dict[int, list[int]] = {}
    for n, depth in enumerate(depths):
        alike.setdefault(depth, []).append(n)
    parts = [
        (depth, places[at : at + AT_ONCE])
        for depth, places in sorted(alike.items())
        for at in range(0, len(places), AT_ONCE)
    ]
    lists: Lists = [[] for _ in questions]
    unit, done = "queries" if isinstance(questions[0], str) else "users", 0
    if progress is not None:
        progress.count(f"asking {name}", 0, len(questions), unit)
    for depth, places in parts:
        for n, hits in zip(places, method.answer([questions[n] for n in places], depth), strict=True):
            lists[n] = hits
        done += len(places)
        if progress is not None:
            progress.count(f"asking {name}", done, len(questions), unit)
    return lists
