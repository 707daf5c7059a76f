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
from lmindexer.evaluation.significance import Difference, differences_to_first, to_dict, to_table
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


@dataclass(frozen=True)
class Block:
    """One system of several runs that were asked the same questions; `differences` to the first run."""

    results: Results  # of the first run
    system: str
    judged: dict[str, Judged]  # by run
    differences: dict[str, dict[str, Difference]]
    metrics: tuple[str, ...]  # that all have

    def to_dict(self) -> dict[str, Any]:
        named = {"task": self.results.task, "split": self.results.split, "system": self.system}
        return named | {"runs": to_dict(self.judged, self.differences)}

    def to_markdown(self) -> list[str]:
        title = f"**{self.system}** ({self.results.what})"
        return [title, "", *to_table(self.judged, self.differences, self.metrics), ""]


@dataclass(frozen=True)
class ComparedResults:
    """What `compare_results` found; empty where no run was evaluated."""

    blocks: tuple[Block, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: {} or one key, `evaluations`."""
        if not (self.blocks or self.notes):
            return {}
        return {"evaluations": {"tables": [block.to_dict() for block in self.blocks], "notes": list(self.notes)}}

    def to_markdown(self) -> str:
        """A table a block and the notes, or an empty text; it begins with an empty line, to follow another table."""
        lines = [line for block in self.blocks for line in block.to_markdown()]
        lines += [f"Note: {note}." for note in self.notes]
        return "\n" + "\n".join(lines).rstrip() + "\n" if lines else ""


def compare_results(runs: Mapping[str, Path], *, resamples: int = 1000, seed: int = 0) -> ComparedResults:
    """The kept evaluations of `runs` (by name), a block a system that all runs asked the same questions have.

    What was asked with other settings is told in `notes` and not compared. Differences are to the first of these
    runs; p is adjusted over them. `resamples` 0: no intervals.
    """
    held: dict[tuple[str, str], dict[str, Results]] = {}
    stale: dict[tuple[str, str], list[str]] = {}
    notes: list[str] = []
    for name, run in runs.items():
        documents = Run.open(run).facts["corpus"]["fingerprint"]
        for results in load_results(run):
            key = results.task, results.split
            if results.documents == documents:
                held.setdefault(key, {})[name] = results
            else:
                stale.setdefault(key, []).append(name)
                notes.append(f"{results.what}: documents of {name} came or went since then; evaluate it again")
    blocks: list[Block] = []
    for (task, split), of_runs in held.items():
        groups: dict[str, dict[str, Results]] = {}
        for name, results in of_runs.items():
            groups.setdefault(results.questions, {})[name] = results
        missing = [name for name in runs if name not in of_runs and name not in stale.get((task, split), ())]
        if reason := _apart(list(groups.values()), missing):
            notes.append(f"{task}, split {split}: {reason}; evaluate all on the same queries to compare them")
        for group in groups.values():
            if len(group) >= min(2, len(runs)):
                found, told_of_group = _blocks(group, resamples, seed)
                blocks += found
                notes += told_of_group
    return ComparedResults(tuple(blocks), tuple(notes))


def _apart(groups: Sequence[Mapping[str, Results]], missing: Sequence[str]) -> str:
    """Which runs do not compare with the others, and why."""
    reasons = []
    if len(groups) > 1:
        reasons.append("other questions were asked of " + " than of ".join(" and ".join(group) for group in groups))
    if missing:
        reasons.append(f"nothing is kept of {' and '.join(missing)}")
    return ", and ".join(reasons)


def _blocks(group: Mapping[str, Results], resamples: int, seed: int) -> tuple[list[Block], list[str]]:
    """Of runs that were asked the same questions; and notes. Only what was asked in the same way is compared."""
    first = next(iter(group.values()))
    blocks, notes = [], []
    for system in first.judged:
        if not all(system in results.judged for results in group.values()):
            continue
        early = [name for name, results in group.items() if results.depth[system] is None]
        if early and len(group) > 1:
            notes.append(
                f"{first.what}: {system} of {' and '.join(early)} was evaluated by an earlier version, whose lists "
                "changed with their length; evaluate again"
            )
        alike: dict[str, dict[str, Results]] = {}  # by how they were asked; depth is no part of that
        for name, results in group.items():
            if name not in early or len(group) == 1:
                how = json_text(results.settings[system], ensure_ascii=False, sort_keys=True)
                alike.setdefault(how, {})[name] = results
        if len(alike) > 1:
            how = "; ".join(f"{' and '.join(some)}: {way}" for way, some in alike.items())
            way_out = "evaluate all in one way to compare them"
            notes.append(f"{first.what}: {system} was not asked in the same way ({how}); {way_out}")
        for some in alike.values():
            if len(some) < min(2, len(group)):
                continue
            block = _block(some, system, resamples, seed)
            if block is None:
                notes.append(f"{first.what}: {system} was judged by other metrics in each run; name the same --metrics")
            else:
                blocks.append(block)
    if not blocks and not notes:
        systems = "; ".join(f"{name}: {', '.join(results.judged)}" for name, results in group.items())
        notes.append(f"{first.what}: the runs have no system in common ({systems})")
    return blocks, notes


def _block(group: Mapping[str, Results], system: str, resamples: int, seed: int) -> Block | None:
    """One system of runs that were asked the same in the same way; None where they share no metric."""
    first = next(iter(group.values()))
    judged = {name: results.judged[system] for name, results in group.items()}
    metrics = [name for name in first.judged[system].values if all(name in one.values for one in judged.values())]
    if not metrics:
        return None
    if not resamples:
        judged = {name: replace(one, intervals=dict.fromkeys(one.values)) for name, one in judged.items()}
    differences = differences_to_first(judged, metrics, resamples=resamples, seed=seed)
    return Block(first, system, judged, differences, tuple(metrics))


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
