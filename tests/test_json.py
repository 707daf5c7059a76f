"""All JSON that is written is JSON: a number that is not finite is null, in files and on the screen."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from command_line import learned, lmindexer
from lmindexer import files
from lmindexer.files import json_text
from lmindexer.runs import Run

SOURCES = Path(files.__file__).parent
WRITERS = {"files.py", "settings.py"}  # json_text; and TOML, which can say inf and nan


def strictly(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_however_deep(number: float):
    value = {"a": [1.5, (number, "b")], "c": {"d": number}, "e": number}
    assert strictly(json_text(value)) == {"a": [1.5, [None, "b"]], "c": {"d": None}, "e": None}
    assert json_text({"ä": 1.5}, ensure_ascii=False, indent=1) == '{\n "ä": 1.5\n}'


def test_json_is_written_in_one_place():
    found = [path.name for path in SOURCES.rglob("*.py") if "json.dump" in path.read_text(encoding="utf-8")]
    assert set(found) == WRITERS


@pytest.mark.parametrize("indexer", ["lmindexer", "hc"])
def test_a_run_with_undefined_numbers_is_json(indexer: str, checkpoints: dict[str, Path], tmp_path: Path):
    """One label, no two documents with one first code, none with neighbours by words: nothing to divide by."""
    names = ["rose", "thunder", "anchor", "violin", "kettle", "harbour"]
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"id": name, "title": name, "label": "x"}) + "\n" for name in names))
    folder = tmp_path / "run"
    tiny = ("--backbone", checkpoints["bert"], "--embeddings", checkpoints["bert"])
    learned(items, "--label", "label", "--indexer", indexer, "--out", folder, *tiny)
    texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.json")]
    texts += (folder / "log.jsonl").read_text(encoding="utf-8").splitlines() if indexer == "lmindexer" else []
    texts += [lmindexer(verb, folder, "--format", "json").out for verb in ("inspect", "compare")]
    assert any("null" in text for text in texts), "no number was undefined"
    for text in texts:
        strictly(text)
    assert Run.open(folder).read_json("report.json")["quality"][indexer]["neighbour_recall"]["words"][0] is None
