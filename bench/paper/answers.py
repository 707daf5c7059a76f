"""A system asked the questions of a table: taught, evaluated and measured once; what is known is read again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.paper.bench import Bench, UnavailableError
from bench.paper.rows import System
from lmindexer.corpus.documents import Corpus
from lmindexer.evaluation.metrics import Judged, Metric
from lmindexer.files import json_text, write_text
from lmindexer.indexers.changes import add_documents
from lmindexer.indexers.store import load_documents
from lmindexer.judging.costs import Cost, cost_of
from lmindexer.judging.evaluation import evaluate_methods
from lmindexer.judging.results import TASKS, Results, keep_results, load_results, questions_fingerprint
from lmindexer.methods.registry import METHODS, Method
from lmindexer.questions.queries import Queries
from lmindexer.questions.questions import Questions
from lmindexer.questions.sequences import Sequences
from lmindexer.runs import Run

COLD = "unseen"  # as in `Evaluation.tables`
MEASURED = 1024  # questions at most that time is taken of


@dataclass(frozen=True)
class HeldOut:
    """Documents that no system learns from, and the same bench with all documents, for methods that learn nothing."""

    documents: Corpus
    whole: Bench


@dataclass(frozen=True)
class Exam:
    """What every system of a table learns from and is asked."""

    task: str  # "search" or "recommend"
    questions: Questions
    metrics: tuple[Metric, ...]
    split: str = "test"
    sequences: Sequences | None = None  # of all documents, for methods that count
    queries: Mapping[str, Queries] | None = None  # by split, to learn from and to be asked
    held_out: HeldOut | None = None
    level: float = 0.0  # as `evaluate_methods`

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same questions and answers."""
        texts = [question if isinstance(question, str) else " ".join(question) for question in self.questions.asked]
        return questions_fingerprint(self.questions.query_ids, self.questions.relevant, texts)


@dataclass(frozen=True)
class Answered:
    """How one run of a system answered; `judged` by part, as the tables of an `Evaluation`."""

    judged: dict[str, Judged]
    cost: Cost
    learning: float  # seconds, of IDs
    teaching: float  # seconds
    run: Path

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        parts = {part: judged.to_dict() for part, judged in self.judged.items()}
        facts = {"learning_seconds": self.learning, "teaching_seconds": self.teaching, "run": str(self.run)}
        return {"parts": parts, **asdict(self.cost), **facts}


def answered(bench: Bench, system: System, exam: Exam) -> list[Answered]:
    """How a system answered, one run a seed; a method that learns nothing has one.

    Raises UnavailableError for want of a method, of weights or of a package.
    """
    if system.method not in METHODS:
        raise UnavailableError(f"there is no method {system.method} here")
    method = METHODS[system.method]
    found = []
    for seed in bench.seeds if method.teachable else bench.seeds[:1]:
        if method.teachable:
            learned = bench.learned(system.ids, system.learn, seed)
            run = bench.taught(learned, method.name, exam.task, exam.queries)
            if exam.held_out is not None:
                run = _with_later(run, exam.held_out.documents)
        else:
            whole = bench if exam.held_out is None else exam.held_out.whole
            learned = run = whole.learned(system.ids, system.learn, seed)
        judged, cost = _known(run, method.name, exam) or _ask(bench, run, method, exam)
        if exam.questions.unseen:
            cold = {exam.questions.query_ids[n] for n in exam.questions.unseen}
            judged[COLD] = judged["masked"].of_queries(cold)
        seconds = _seconds(learned, "report.json"), _seconds(run, "finetune.json")
        found.append(Answered(judged, cost, *seconds, run.path))
    return found


def _with_later(run: Run, documents: Corpus) -> Run:
    """The run with documents that came after teaching."""
    if not set(documents.doc_ids) <= set(load_documents(run).doc_ids):
        add_documents(run.path, documents)
    return Run.open(run.path)


def _ask(bench: Bench, run: Run, method: Method, exam: Exam) -> tuple[dict[str, Judged], Cost]:
    """Evaluate and measure a method, and keep both: the answers in the run, the cost beside it."""
    questions, name = exam.questions, method.name
    retriever = method.open(run.path, questions.kind, sequences=exam.sequences)
    evaluation = evaluate_methods({name: retriever}, questions, exam.metrics, level=exam.level, progress=bench.progress)
    judging = {"relevance_level": exam.level} if exam.level else {}
    keep_results(run.path, exam.split, evaluation, questions, {name: retriever}, judging, exam.metrics)
    cost = cost_of(retriever, questions.asked[:MEASURED], max(metric.k for metric in exam.metrics))
    settings = {part: results.settings[name] for part, results in _results(run, exam).items()}
    write_text(_cost_file(run, name, exam), json_text({"settings": settings, "cost": asdict(cost)}) + "\n")
    known = _known(run, name, exam)
    assert known is not None
    return known


def _known(run: Run, name: str, exam: Exam) -> tuple[dict[str, Judged], Cost] | None:
    """What was found of these questions, metrics and documents, by part, and the cost; None where that is not all kept.

    What somebody asked with other settings since then is not taken for it.
    """
    found, file = _results(run, exam), _cost_file(run, name, exam)
    if not found or not file.exists():
        return None
    kept, documents = json.loads(file.read_text()), Run.open(run.path).facts["corpus"]["fingerprint"]
    metrics = {str(metric) for metric in exam.metrics}
    for part, results in found.items():
        same = (results.questions, results.documents) == (exam.fingerprint, documents)
        if not same or results.settings.get(name) != kept["settings"].get(part):
            return None
        if name not in results.judged or not metrics <= results.judged[name].values.keys():
            return None
    return {part: results.judged[name] for part, results in found.items()}, Cost(**kept["cost"])


def _results(run: Run, exam: Exam) -> dict[str, Results]:
    """The evaluations that the run keeps of the task and split, by part."""
    parts = {"search": ("all",), "recommend": ("as_is", "masked")}[exam.task]
    kept = {(results.task, results.split): results for results in load_results(run.path)}
    found = {part: kept[TASKS[part], exam.split] for part in parts if (TASKS[part], exam.split) in kept}
    return found if len(found) == len(parts) else {}


def _cost_file(run: Run, name: str, exam: Exam) -> Path:
    return run.path.with_name(f"{run.path.name}-{exam.task}-{exam.split}-{name}-cost.json")


def _seconds(run: Run, name: str) -> float:
    """How long making what the file reports of took; 0 where nothing was made."""
    return float(run.read_json(name)["seconds"]) if run.has(name) else 0.0
