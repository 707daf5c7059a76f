"""Evaluations kept in run folders, query by query, and put side by side where runs were asked the same questions.

A file a task and split, results-TASK-SPLIT.parquet: `query`, then a column "SYSTEM METRIC" each; beside them, by
system, how it was asked: settings and depth.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.bootstrap import Interval
from lmindexer.evaluation.metrics import Judged, Metric
from lmindexer.files import json_text, write_atomically
from lmindexer.judging.evaluation import Evaluation
from lmindexer.methods.retriever import Retriever
from lmindexer.questions.questions import TEXT, Questions
from lmindexer.runs import Run, writing

TASKS = {"all": "search", "as_is": "recommend", "masked": "recommend-masked"}  # of tables that are kept
METADATA = b"results"  # of the file: all that is not a number a query


@dataclass(frozen=True)
class Results:
    """How each query was answered by each system of a run; all have the same queries, in the order of their ids."""

    task: str  # "search", "recommend"
    split: str
    questions: str  # as `questions_fingerprint`
    documents: str  # fingerprint of the corpus that was searched
    judged: dict[str, Judged]  # by system
    settings: dict[str, dict[str, Any]]  # by system: how it was asked, as far as that changes the answer
    depth: dict[str, int | None]  # by system: how many documents it was asked for; None: of an earlier version

    @property
    def what(self) -> str:
        return f"{self.task}, split {self.split}"


def questions_fingerprint(
    query_ids: Sequence[str], relevant: Sequence[Mapping[str, float]], texts: Sequence[str] = ()
) -> str:
    """The same for the same queries with the same relevant documents and grades, in whatever order they come."""
    texts = texts or [""] * len(query_ids)
    lines = [
        json_text([query_id, text, sorted((doc_id, float(grade)) for doc_id, grade in grades.items())])
        for query_id, text, grades in zip(query_ids, texts, relevant, strict=True)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def keep_results(
    run: Path,
    split: str,
    evaluation: Evaluation,
    questions: Questions,
    methods: Mapping[str, Retriever],
    judging: Mapping[str, Any],
    metrics: Sequence[Metric],
) -> None:
    """Keep in the run what `evaluate_methods` found; `judging` are settings of it that change a number.

    Raises ReadOnlyError where the run cannot be written to.
    """
    asked = [question if isinstance(question, str) else " ".join(question) for question in questions.asked]
    fingerprint = questions_fingerprint(questions.query_ids, questions.relevant, asked)
    for table, task in TASKS.items():
        if table in evaluation.tables:
            for name, judged in evaluation.tables[table].judged.items():
                settings = methods[name].settings | dict(judging)
                settings |= {} if evaluation.kind == TEXT else {"masked": table == "masked"}
                depth = max(metric.k for metric in metrics)
                save_results(run, task, split, {name: judged}, fingerprint, settings, depth=depth)


def save_results(
    run: Path,
    task: str,
    split: str,
    judged: Mapping[str, Judged],
    questions: str,
    settings: Mapping[str, Any] | None = None,
    *,
    depth: int,
) -> Path:
    """Keep in the run how its systems (`judged`, by name) answered; `settings` say how all of them were asked.

    `settings` are all that changes the answer, such as beams and whether a user's own items were left out; `depth`,
    how many documents were asked for, changes no metric of fewer and is kept beside them.
    What an earlier evaluation found of the same questions and documents stays but for systems of these names;
    of others it is replaced. Raises ValueError where the systems were not asked the same queries, and InputError
    as `load_results`.
    """
    path = Path(run) / f"results-{quote(task, safe='')}-{quote(split, safe='')}.parquet"
    documents = Run.open(run).facts["corpus"]["fingerprint"]
    asked = {name: dict(settings or {}) for name in judged}
    ordered = {name: _by_id(judged_of_system) for name, judged_of_system in judged.items()}
    new = Results(task, split, questions, documents, ordered, asked, dict.fromkeys(judged, depth))
    with writing(Path(run)):
        if path.exists():
            old = _load(path)
            if (old.questions, old.documents) == (questions, documents):
                new = replace(
                    new,
                    judged=old.judged | new.judged,
                    settings=old.settings | new.settings,
                    depth=old.depth | new.depth,
                )
        _save(new, path)
    return path


def load_results(run: Path) -> tuple[Results, ...]:
    """All evaluations that a run folder keeps. Raises InputError for a damaged file."""
    return tuple(_load(path) for path in sorted(Path(run).glob("results-*.parquet")))


def _by_id(judged: Judged) -> Judged:
    """Queries in the order of their ids, so that runs asked in another order have the same rows."""
    order = sorted(range(len(judged.query_ids)), key=judged.query_ids.__getitem__)
    values = {metric: by_query[order] for metric, by_query in judged.values.items()}
    return replace(judged, query_ids=tuple(judged.query_ids[q] for q in order), values=values)


def _save(results: Results, path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    query_ids = next(iter(results.judged.values())).query_ids
    columns: dict[str, Any] = {"query": pyarrow.array(query_ids, pyarrow.string())}
    systems = {}
    for name, judged in results.judged.items():
        if judged.query_ids != query_ids:
            raise ValueError(f"{name} was not asked the queries that the others were; keep each by itself")
        columns |= {f"{name} {metric}": values for metric, values in judged.values.items()}
        intervals = {
            metric: interval and [interval.low, interval.high] for metric, interval in judged.intervals.items()
        }
        systems[name] = {
            "without_relevant": judged.without_relevant,
            "intervals": intervals,
            "settings": results.settings[name],
            "depth": results.depth[name],
        }
    facts = {"task": results.task, "split": results.split, "questions": results.questions}
    facts |= {"documents": results.documents}
    metadata = {METADATA: json_text(facts | {"systems": systems})}
    table = pyarrow.table(columns, metadata=metadata)
    write_atomically(path, lambda to: pyarrow.parquet.write_table(table, to, compression="zstd"))


def _load(path: Path) -> Results:
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        facts = json.loads(table.schema.metadata[METADATA])
        query_ids = tuple(table["query"].to_pylist())
        judged, settings, depth = {}, {}, {}
        for name, system in facts.pop("systems").items():
            values = {metric: np.array(table[f"{name} {metric}"]) for metric in system["intervals"]}
            intervals = {metric: pair and Interval(*pair) for metric, pair in system["intervals"].items()}
            judged[name] = Judged(query_ids, values, intervals, system.get("without_relevant", 0))
            settings[name], depth[name] = system["settings"], system.get("depth")
        return Results(judged=judged, settings=settings, depth=depth, **facts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OSError, pyarrow.ArrowException) as error:
        raise InputError(f"{path} is not an evaluation which lmindexer saved; delete it and evaluate again") from error
