"""The blinded rating sheet of Table 13, which says nothing of the methods, and its key, which does.

`write_sheet` writes both; `score_sheets` reads the filled sheets of one or more raters by the key.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.pairs import Pair, PairSample, pairs_digest
from lmindexer.evaluation.ratings import COLUMNS, Scores, read_sheet, score
from lmindexer.files import json_text, write_text

KEY_SUFFIX = ".key.json"
FORMULA = ("=", "+", "-", "@")  # a spreadsheet computes what begins so


def write_sheet(path: Path, sample: PairSample, runs: Mapping[str, str] | None = None) -> Path:
    """Write the sheet to fill in, .csv for spreadsheets or .html for a browser, and the key, whose path is returned.

    The key holds what raters must not see: each pair's method and documents, the seed, and `runs`, the run
    (its folder) of each method. Raises InputError for another suffix, and where a sheet or the key of another
    sheet stands: ratings cannot be made again.
    """
    beside, kind = path.with_name(path.stem + KEY_SUFFIX), path.suffix.lower()
    if kind not in (".csv", ".html"):
        raise InputError(f"{path} is neither .csv nor .html; name the sheet by one of them")
    if path.exists():
        raise InputError(f"{path} exists already and may hold ratings; choose another name, or remove it first")
    if beside.exists() and _read_json(beside).get("sheet") != sample.digest:
        raise InputError(f"{beside} is the key of another sheet; choose another name for {path}, or remove the key")
    names = [f"{sample.digest}-{pair.number}" for pair in sample.pairs]
    if kind == ".csv":
        write_text(path, _csv(zip(names, sample.pairs, strict=True)))
    else:
        texts = [(name, *pair.texts) for name, pair in zip(names, sample.pairs, strict=True)]
        page = {"sheet": sample.digest, "file": path.stem, "columns": COLUMNS, "formula": "".join(FORMULA)}
        data = json_text(page | {"pairs": texts})
        template = resources.files("lmindexer.evaluation").joinpath("rating_sheet.html").read_text(encoding="utf-8")
        write_text(path, template.replace("{{data}}", data.replace("<", "\\u003c")))  # no text can end the script
    key = {
        "sheet": sample.digest,
        "seed": sample.seed,
        "depth": sample.depth,
        "runs": dict(runs or {}),
        "notes": sample.notes,
        "pairs": [{"pair": pair.number, "method": pair.method, "documents": pair.doc_ids} for pair in sample.pairs],
    }
    write_text(beside, json_text(key, indent=2, ensure_ascii=False) + "\n")
    return beside


def score_sheets(sheets: Sequence[Path], key: Path | None = None) -> Scores:
    """Score the filled CSV sheets, one a rater, by method; the key is looked for beside them by default.

    Raises InputError when a sheet or the key is not whole, or they do not belong together.
    """
    if not sheets:
        raise InputError("there are no sheets to score; name at least one filled sheet")
    answers_by_sheet = {Path(sheet): read_sheet(Path(sheet)) for sheet in sheets}
    if len({sheet.resolve() for sheet in answers_by_sheet}) < len(sheets):
        raise InputError("a sheet is named twice; name each rater's file once")
    if key is None:
        digests = {name.partition("-")[0] for answers in answers_by_sheet.values() for name in answers}
        key = _find_key(answers_by_sheet, digests)
    digest, pairs = _read_key(Path(key))
    for sheet, answers in answers_by_sheet.items():
        if foreign := sorted(answers.keys() - pairs.keys()):
            raise InputError(f"{sheet}: pair {foreign[0]!r} is not of {key}, whose pairs begin with {digest}-; "
                             "give the key that was written with this sheet")  # fmt: skip
        if missing := [name for name in pairs if name not in answers]:
            raise InputError(f"{sheet} lacks {len(missing)} of {len(pairs)} pairs, the first {missing[0]!r}; "
                             "leave a row's answer empty, but keep the row")  # fmt: skip
    answers_given = np.array([[answers[name] for name in pairs] for answers in answers_by_sheet.values()])
    stems = [sheet.stem for sheet in answers_by_sheet]
    raters = stems if len(set(stems)) == len(stems) else [str(sheet) for sheet in answers_by_sheet]
    return score(answers_given, list(pairs.values()), raters)


def _csv(named: Iterable[tuple[str, Pair]]) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    rows.writerows([name, *(_plain(text) for text in pair.texts), ""] for name, pair in named)
    return "\ufeff" + text.getvalue()  # the mark by which Excel knows UTF-8


def _plain(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _find_key(sheets: Iterable[Path], digests: set[str]) -> Path:
    """Look for the key beside the sheets; the name of a saved sheet need not be that of the written one."""
    for folder in dict.fromkeys(sheet.parent for sheet in sheets):
        for path in sorted(folder.glob(f"*{KEY_SUFFIX}")):
            if _read_json(path).get("sheet") in digests:
                return path
    raise InputError(f"no key of these sheets lies beside them; give the {KEY_SUFFIX} file written with the sheet")


def _read_key(path: Path) -> tuple[str, dict[str, str]]:
    """Read the sheet's digest, and the method of every pair by the pair's name on the sheet."""
    key = _read_json(path)
    try:
        digest = str(key["sheet"])
        listed = [(pair["pair"], pair["method"], *pair["documents"]) for pair in key["pairs"]]
        is_whole = digest == pairs_digest(key["seed"], key["depth"], listed)
    except (KeyError, TypeError):
        raise InputError(
            f"{path} is not the key of a rating sheet; give the {KEY_SUFFIX} file written with it"
        ) from None
    if not is_whole:
        raise InputError(f"{path} was changed since it was written; give the unchanged file")
    return digest, {f"{digest}-{number}": method for number, method, *_ in listed}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the key {path} cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError):  # neither JSON nor UTF-8
        value = None
    return value if isinstance(value, dict) else {}
