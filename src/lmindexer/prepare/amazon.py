"""Amazon's reviews of 2014, 2018 and 2023: reviews or ratings, and what the products are (sections 4.1 and 4.3)."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lmindexer.corpus.readers import JSON
from lmindexer.corpus.records import sound_records
from lmindexer.errors import InputError, excerpt
from lmindexer.prepare.paper import AMAZON_NAMES, amazon_counts
from lmindexer.prepare.prepared import Prepared
from lmindexer.prepare.raw_files import columns, find, matching, missing, unpacked_name
from lmindexer.prepare.recommendation import History, commands, write_history, write_items
from lmindexer.progress import Progress
from lmindexer.questions.events import Event, time_in
from lmindexer.questions.interactions import Log, read_events

META = ("meta_*.json", "meta_*.jsonl")
TEXTS = ("title", "brand", "description", "features")
CORE = 5  # events a user and an item, as in the paper
ASIN = 10  # characters
HEAD = 1000  # lines looked at to tell users from items


def prepare(raw: Path, folder: Path, progress: Progress, name: str = "", **history: Any) -> Prepared:
    """Items with title, brand, description, features and category paths, and the sequences of their 5-core.

    `history` are values of `History`, by their names.
    """
    category, meta = _category(raw, name)
    reviews = _reviews(raw, category)
    of_2014 = reviews.name.startswith(("reviews_", "ratings_"))
    paper = amazon_counts(category) if of_2014 else None
    taken = write_history(_log(reviews), History(**({"core": CORE} | history)), folder, progress, paper)
    items = write_items(_items(meta), taken.events, TEXTS, folder, progress)
    run = category.lower().split("_")[0]
    return Prepared(
        sources=(reviews, meta),
        counts=taken.counts,
        rules=taken.rules,
        commands=commands(taken.file, TEXTS, "categories", items.keep_empty, run),
        notes=taken.notes + items.notes,
    )


def _category(raw: Path, name: str) -> tuple[str, Path]:
    """The category to prepare, by its full or short name, and its file of products."""
    found = {unpacked_name(path).removeprefix("meta_").rpartition(".")[0]: path for path in matching(raw, *META)}
    full = AMAZON_NAMES.get(name.lower(), name)
    chosen = [category for category in found if not name or category.lower() == full.lower()]
    if not found:
        raise missing(raw, META)
    if len(chosen) != 1:
        problem = "has several categories" if not name else f"has no meta_{full}.json.gz"
        raise InputError(f"{raw} {problem}; choose one with --name {' or '.join(sorted(found))}")
    return chosen[0], found[chosen[0]]


def _reviews(raw: Path, category: str) -> Path:
    """What users took of it: the smallest file that is there, a 5-core, else all reviews, else ratings alone."""
    stems = (f"reviews_{category}_5", f"{category}_5", f"reviews_{category}", category, f"ratings_{category}")
    names = [f"{stem}{end}" for stem in stems for end in (".json", ".jsonl", ".csv")]
    if not matching(raw, *names):
        raise missing(raw, (f"reviews_{category}_5.json", f"ratings_{category}.csv", f"{category}.jsonl"))
    return find(raw, *names)


# What users took


def _log(path: Path) -> Log:
    if not unpacked_name(path).endswith(".csv") or _has_header(path):
        return read_events(path)
    user, item = _places(path)
    return Log(_ratings(path, user, item))


def _has_header(path: Path) -> bool:
    first = next(columns(path, 4, ","), None)
    return first is not None and time_in(first[1][3]) is None


def _places(path: Path) -> tuple[int, int]:
    """Where user and item stand in ratings without a header: 2014 has the user first, 2018 the product."""
    head = [fields for _, fields in islice(columns(path, 4, ","), HEAD)]
    are_items = [all(len(fields[place]) == ASIN for fields in head) for place in (0, 1)]
    if are_items == [False, True]:
        return 0, 1
    if are_items == [True, False]:
        return 1, 0
    raise InputError(
        f"{path} does not tell which column is the product (10 characters a product); put a header in: "
        "user_id,item_id,rating,timestamp"
    )


def _ratings(path: Path, user: int, item: int) -> Iterator[Event]:
    for number, fields in columns(path, 4, ","):
        time = time_in(fields[3])
        if time is None or not fields[item].strip():
            raise InputError(
                f"{path}, line {number}: there is no product and time in it ({excerpt(','.join(fields))}); every line "
                "has user, product, rating and time"
            )
        yield Event(fields[user].strip(), fields[item].strip(), time)


# Products


def _items(path: Path) -> Iterator[dict[str, Any]]:
    for number, record in sound_records(path, "line", JSON):
        id = record.get("parent_asin") or record.get("asin")
        if not isinstance(id, str) or not id.strip():
            raise InputError(f"{path}, line {number}: there is no asin; fetch the file again")
        yield {
            "id": id.strip(),
            "title": _texts(record.get("title")),
            "brand": _texts(record.get("brand") or record.get("store")),
            "description": _texts(record.get("description")),
            "features": _texts(record.get("feature") or record.get("features")),
            "categories": _paths(record.get("categories") or record.get("category")),
        }


def _texts(value: Any) -> Any:
    """A text or a list of texts as it is; anything else, such as None, is no text."""
    if isinstance(value, list):
        return [part for part in value if isinstance(part, str) and part.strip()]
    return value if isinstance(value, str) else ""


def _paths(value: Any) -> list[list[str]]:
    """Category paths: 2014 has a list of them, 2018 and 2023 a single one."""
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list):
        return []
    if not any(isinstance(part, list) for part in value):
        value = [value]
    return [path for part in value if isinstance(part, list) and (path := _texts(part))]
