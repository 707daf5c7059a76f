"""From a raw folder to a prepared one, with a file that says how it came about."""

from importlib import import_module
from pathlib import Path
from typing import Any

from lmindexer.errors import InputError
from lmindexer.files import json_text, new_folder, sha256_of
from lmindexer.prepare.prepared import Prepared, commands_on
from lmindexer.prepare.raw_files import raw_files
from lmindexer.prepare.registry import SETS
from lmindexer.progress import Progress

MANIFEST = "prepared.json"


def prepare(kind: str, raw: Path, out: Path, options: dict[str, Any], progress: Progress) -> Prepared:
    """Write the set `kind` of the files in `raw` to the new folder `out`: all of it, or nothing.

    Raises InputError for an option that the set does not take, a missing or damaged file, and where `out` is there.
    """
    known = SETS[kind]
    if unknown := sorted(options.keys() - set(known.options)):
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in known.options) or "no options"
        raise InputError(f"{kind} takes no --{unknown[0].replace('_', '-')}, only {flags}; leave it out")
    raw_files(raw)
    module = import_module(f"{__package__}.{known.module}")
    with new_folder(out) as folder:
        prepared: Prepared = module.prepare(raw, folder, progress, **options)
        progress.doing("digesting the raw files")
        manifest = _manifest(kind, options, prepared, out)
        (folder / MANIFEST).write_text(json_text(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return prepared


def _manifest(kind: str, options: dict[str, Any], prepared: Prepared, out: Path) -> dict[str, Any]:
    """What prepared.json says: sources with digests, rules, counts beside the paper's, what to type next."""
    sources = [
        {"file": str(path), "bytes": path.stat().st_size, "sha256": sha256_of(path)} for path in prepared.sources
    ]
    return {
        "set": kind,
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
        "sources": sources,
        "rules": prepared.rules,
        "counts": [{"what": count.what, "ours": count.ours, "paper": count.paper} for count in prepared.counts],
        "notes": prepared.notes,
        "next": commands_on(prepared, out),
    }
