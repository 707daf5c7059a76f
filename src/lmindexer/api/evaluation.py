"""Methods side by side on the same questions, whatever holds these, and runs side by side."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmindexer.api.run import OpenRun
from lmindexer.errors import InputError, check_list, excerpt
from lmindexer.evaluation.metrics import parse_metrics
from lmindexer.explore.comparing import RunComparison, compare_runs
from lmindexer.judging.evaluation import Answers, Evaluation, evaluate_methods
from lmindexer.progress import Progress
from lmindexer.questions.histories import Histories
from lmindexer.questions.queries import Queries, QueryData
from lmindexer.questions.query_records import split_name
from lmindexer.questions.questions import Questions
from lmindexer.questions.sequence_files import load_sequences
from lmindexer.questions.sequences import asked_of
from lmindexer.questions.splits import with_note_of_training
from lmindexer.runs import Run, names_of


def evaluate(
    methods: Mapping[str, Answers] | Sequence[Answers],
    questions: Questions | QueryData | Histories | str | Path,
    metrics: Sequence[str] = ("recall@10", "ndcg@10"),
    *,
    split: str = "test",
    qrels: str | Path | None = None,
    level: float = 0.0,
    leave_self_out: bool = False,
    answerable: bool = False,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask runs, methods of runs, or anything that has `answer`, the same questions, and judge what each finds.

    Questions are `run.questions("test")`, `Queries`, {text: ids}, {text: {id: grade}}, the `split` of files of queries,
    or that of `Histories`. With `answerable`, what is relevant and not among the documents is left out, not counted as
    not found. `level`, `leave_self_out` and what comes out are as `judging.evaluation.evaluate_methods` says; the first
    method is the one that the others are tested against. Methods are named by a dict of them, else by what they are.
    """
    named = _named(methods)
    check_list(metrics, "metrics")
    asked = _questions(named, questions, split, qrels, answerable)
    opened = {name: method.usual if isinstance(method, OpenRun) else method for name, method in named.items()}
    return evaluate_methods(
        opened, asked, parse_metrics(list(metrics)),
        level=level, leave_self_out=leave_self_out, seed=seed, progress=progress or Progress(),
    )  # fmt: skip


def compare(
    runs: Mapping[str, OpenRun] | Sequence[OpenRun],
    *,
    embeddings: str = "",
    resamples: int = 200,
    progress: Progress | None = None,
) -> RunComparison:
    """The IDs of runs of the same documents side by side, and what they answered when they were evaluated.

    `embeddings` and `resamples` are as `explore.comparing.compare_runs` says. Runs are named by a dict of them, else by
    their folders. Raises InputError for what is no run, and where a list has one run twice.
    """
    check_list(runs, "runs")
    given = list(runs.values() if isinstance(runs, Mapping) else runs)
    if not given:
        raise InputError("there is nothing to compare; give at least one run")
    for run in given:
        if not isinstance(run, OpenRun):
            raise InputError(f"{excerpt(run)} is no run; give runs as load, fit and teach return them")
    paths = [run.path for run in given]
    names = list(runs) if isinstance(runs, Mapping) else names_of(paths)
    opened = dict(zip(names, map(Run.open, paths), strict=True))
    return compare_runs(opened, embeddings=embeddings, resamples=resamples, progress=progress or Progress())


def _named(methods: Mapping[str, Answers] | Sequence[Answers]) -> dict[str, Answers]:
    """Each under a name of its own: hybrid, and hybrid 2. Raises InputError where there is none, or no list."""
    if isinstance(methods, Mapping):
        named = dict(methods)
    elif isinstance(methods, Iterable) and not isinstance(methods, str | bytes):
        named = {}
        for method in methods:
            name = str(getattr(method, "name", type(method).__name__))
            alike = [taken for taken in named if taken.rpartition(" ")[0] == name or taken == name]
            named[f"{name} {len(alike) + 1}" if alike else name] = method
    else:
        raise InputError(f"what is evaluated must be a list, not {excerpt(methods)}; put it into brackets")
    if not named:
        raise InputError("there is nothing to evaluate; give at least one run or method")
    for method in named.values():
        if not hasattr(method, "answer"):
            raise InputError(f"{excerpt(method)} answers no questions; give a run, or a method of one")
    return named


def _questions(
    named: Mapping[str, Answers],
    questions: Questions | QueryData | Histories | str | Path,
    split: str,
    qrels: str | Path | None,
    answerable: bool,
) -> Questions:
    """The questions as methods are asked them, with notes on what the first one's documents lack."""
    if isinstance(questions, Questions):
        return questions
    doc_ids = _documents(next(iter(named.values())))
    if isinstance(questions, Histories):
        if doc_ids is None:
            raise InputError("histories are parted by the documents of the first method; put a run or its method first")
        return asked_of(load_sequences(questions, doc_ids), split_name(split), doc_ids)
    if isinstance(questions, str | Path):
        queries = Queries.read(questions, split, qrels=qrels)
    else:
        queries = Queries.of(questions)
    queries = Queries.of(queries, documents=doc_ids, answerable=answerable)
    for method in named.values():
        if isinstance(method, OpenRun) and (taught := method.taught_queries) is not None:
            queries = with_note_of_training(queries, taught)
    return queries.questions


def _documents(method: Any) -> Sequence[str] | None:
    """The ids of what a method finds, where it says."""
    return getattr(method.usual if isinstance(method, OpenRun) else method, "doc_ids", None)
