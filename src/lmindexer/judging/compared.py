"""Evaluations that runs keep, put side by side where the runs were asked the same questions in the same way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmindexer.evaluation.metrics import Judged
from lmindexer.evaluation.significance import Difference, differences_to_first, to_dict, to_table
from lmindexer.files import json_text
from lmindexer.judging.results import Results, load_results
from lmindexer.runs import Run


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
