"""A method without weights: a few settings are tried on the dev questions, and the best are kept."""

import time

from lmindexer.methods.taught import FACTS
from lmindexer.methods.teachable import Choosable
from lmindexer.progress import Progress
from lmindexer.questions.task import Task
from lmindexer.runs import Run
from lmindexer.teaching.train import metric_on_dev


def choose(run: Run, method: Choosable, task: Task, progress: Progress) -> None:
    """Ask dev with all settings, in the folder that `finetune` made; what was tried and chosen is kept there.

    It takes seconds, so one that was stopped begins anew.
    """
    began, metric = time.monotonic(), method.config.dev_metric
    progress.note(*task.notes)
    tried = list[tuple[float, dict[str, float]]]()
    for settings in method.grid:
        progress.count("trying settings", len(tried), len(method.grid), "settings")
        tried.append((metric_on_dev(method.retriever(**settings), task, metric), settings))
    best, chosen = max(tried, key=lambda one: one[0])  # of equal ones the first
    notes = list(task.notes)
    if len(tried) > 1 and all(value == best for value, _ in tried):
        notes.append(f"all settings are equally good on dev, so the usual of those tried are kept: {_named(chosen)}")
        progress.note(notes[-1])
    facts = {"dev_metric": metric, "best": round(best, 7), "chosen": chosen, "pairs": len(task.target), "notes": notes}
    facts["tried"] = [settings | {metric: round(value, 7)} for value, settings in tried]
    run.write_json(FACTS, facts | {"seconds": round(time.monotonic() - began, 1)})
    run.finish()


def _named(settings: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in settings.items())
