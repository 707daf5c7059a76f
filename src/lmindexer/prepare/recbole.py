"""RecBole's atomic files: what users took (.inter), and what the items are (.item)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmindexer.corpus.cells import id_of
from lmindexer.corpus.fields import ID_NAMES, usual_names
from lmindexer.corpus.readers import READERS
from lmindexer.corpus.records import sound_records
from lmindexer.errors import InputError
from lmindexer.prepare.prepared import Prepared, run_name
from lmindexer.prepare.raw_files import matching, missing, unpacked_name
from lmindexer.prepare.recommendation import History, commands, write_history, write_items
from lmindexer.progress import Progress
from lmindexer.questions.interactions import read_events

TEXTS = ("title", "movie_title", "name", "brand", "description", "text", "abstract")
LABELS = ("categories", "category", "genres", "genre", "class")
TSV = READERS[".item"]


def prepare(raw: Path, folder: Path, progress: Progress, name: str = "", **history: Any) -> Prepared:
    """Items with all columns of the .item file, and what users took."""
    inter, item = _files(raw, name)
    survey = TSV.survey(item)
    ids, texts = usual_names(survey.columns, ID_NAMES), usual_names(survey.columns, TEXTS)
    if not ids or not texts:
        raise InputError(
            f"{item} has no column item_id, or none of {', '.join(TEXTS)}; rename one in its first line, such as "
            "item_id:token and title:token_seq"
        )
    taken = write_history(read_events(inter), History(**history), folder, progress)
    items = write_items(_items(item, ids[0]), taken.events, texts, folder, progress)
    label = next(iter(usual_names(survey.columns, LABELS)), "")
    return Prepared(
        sources=(inter, item),
        counts=taken.counts,
        rules=taken.rules,
        commands=commands(taken.file, texts, label, items.keep_empty, run_name(unpacked_name(inter).partition(".")[0])),
        notes=survey.notes + taken.notes + items.notes,
    )


def _files(raw: Path, name: str) -> tuple[Path, Path]:
    """The .inter and the .item file of one set."""
    stem = name or "*"
    found = {kind: matching(raw, f"{stem}{kind}") for kind in (".inter", ".item")}
    for kind, paths in found.items():
        if not paths:
            raise missing(raw, [f"{stem}{kind}"])
        if len(paths) > 1:
            names = ", ".join(unpacked_name(path).removesuffix(kind) for path in paths)
            raise InputError(f"{raw} has several {kind} files; choose one with --name ({names})")
    return found[".inter"][0], found[".item"][0]


def _items(path: Path, id: str) -> Iterator[dict[str, Any]]:
    for number, record in sound_records(path, "line", TSV):
        item = id_of(record, id, f"{path}, line {number}")
        yield {"id": item} | {name: value for name, value in record.items() if name != id}
