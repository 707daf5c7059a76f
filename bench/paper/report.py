"""What a table or figure leaves: lines of Markdown, and the same for programs; on the screen and in --out."""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.paper.bench import Bench
from lmindexer.files import json_text, write_text
from lmindexer.tables import show


@dataclass(frozen=True)
class Report:
    """The lines to print; with `facts` they are kept as Markdown, too, and these beside them as JSON."""

    lines: Sequence[str]
    facts: Mapping[str, Any] = field(default_factory=dict)


def keep(report: Report, bench: Bench, what: str, command: str = "bench.paper") -> None:
    """Print a report, and write it into the folder of its data set; `command` is the module that made it."""
    if not report.facts:
        print(*report.lines, sep="\n")
        return
    lines = [*report.lines, "", *_settings(bench), _origin(command)]
    text = "\n".join(lines) + "\n"
    if sys.stdout.isatty():
        show(text, sys.stdout)
    else:
        print(text, end="")
    bench.folder.mkdir(parents=True, exist_ok=True)
    write_text(bench.folder / f"{what}.md", text)
    facts = {"what": what, "data": bench.data.name, "seeds": bench.seeds, "notes": lines[len(report.lines) + 1 :]}
    facts |= {"learn": dict(bench.learning), "finetune": dict(bench.teaching)} | dict(report.facts)
    write_text(bench.folder / f"{what}.json", json_text(facts, indent=2, ensure_ascii=False) + "\n")


def _settings(bench: Bench) -> list[str]:
    """A line for settings that differ from the defaults, which are those of all systems alike."""
    lines = []
    for verb, settings in (("learn", bench.learning), ("finetune", bench.teaching)):
        if settings:
            pairs = ", ".join(f"{name} = {value}" for name, value in settings.items())
            lines.append(f"Set for all systems alike, as far as it counts for each (lmindexer {verb}): {pairs}.")
    if bench.pseudo:
        lines.append(f"All that learn to search learn from {', '.join(path.name for path in bench.pseudo)}, too.")
    return [*lines, f"{len(bench.corpus):,} documents; seeds {', '.join(map(str, bench.seeds))}."]


def _origin(module: str) -> str:
    """The command, the commit whose code it is, the machine and the date."""
    import torch

    cores = f"{os.cpu_count()} cores ({platform.machine()}), {torch.get_num_threads()} threads"
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    command = shlex.join(["python", "-m", module, *sys.argv[1:]])
    return f"`{command}`; commit {_commit()}, {cores}, {device}, {time.strftime('%Y-%m-%d')}."


def _commit() -> str:
    """Of this checkout, "-dirty" where files differ from it; "unknown" where it is none."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return found.stdout.strip() or "unknown"
