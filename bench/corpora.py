"""Two corpora with labels that any machine can make, as files in BEIR's layout for `bench.ids` and `bench.paper`.

    apt-get update -o Acquire::Languages=en -o Dir::State::lists=LISTS
    python -m bench.corpora debian data/debian --lists LISTS --size 3000
    python -m bench.corpora docstrings data/docstrings --size 5000

Debian's packages: the long description is the document, Section its label, and the synopsis asks for it (it is no part
of the document). Docstrings of the installed Python packages: package and module are the label; nothing asks for them.
"""

import argparse
import random
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lmindexer.corpus.sources import installed_python_documentation
from lmindexer.errors import InputError
from lmindexer.files import json_text

APT = "/usr/lib/apt/apt-helper"
FEWEST_WORDS = 15  # of a description: shorter ones say what package they belong to
SPLITS = {"train": 0.5, "dev": 0.1, "test": 0.4}  # of the synopses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("debian", "docstrings"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--lists", type=Path, default=Path("/var/lib/apt/lists"), help="where apt keeps its lists")
    parser.add_argument("--size", type=int, default=3000, help="take this many documents")
    arguments = parser.parse_args()
    try:
        if arguments.what == "debian":
            write_debian(arguments.out, arguments.lists, arguments.size)
        else:
            documents = installed_python_documentation(limit=arguments.size)
            records = [{"_id": d.id, "text": d.text, "label": list(d.label)} for d in documents]
            _write(arguments.out / "corpus.jsonl", records)
    except InputError as error:
        parser.error(str(error))


def write_debian(out: Path, lists: Path, size: int) -> None:
    """So many descriptions drawn at random, each text once, with the synopses as queries of three splits.

    Raises InputError where apt has no English descriptions.
    """
    section = {package["Package"]: package.get("Section", "") for package in _packages(lists, "_Packages")}
    found: dict[str, dict[str, str]] = {}
    for package in _packages(lists, "_Translation-en"):
        synopsis, *lines = package.get("Description-en", "").split("\n")
        text = " ".join(line.strip() for line in lines if line.strip() != ".")
        if len(text.split()) >= FEWEST_WORDS and section.get(package["Package"]):
            found.setdefault(text, {"_id": package["Package"], "synopsis": synopsis})
    if not found:
        raise InputError(f"{lists} has no descriptions; run apt-get update -o Acquire::Languages=en first")
    dice = random.Random(0)
    drawn = sorted(dice.sample(sorted(found), min(size, len(found))), key=lambda text: found[text]["_id"])
    _write(
        out / "corpus.jsonl",
        [{"_id": found[text]["_id"], "text": text, "section": section[found[text]["_id"]]} for text in drawn],
    )
    split = dice.choices(list(SPLITS), list(SPLITS.values()), k=len(drawn))
    _write(
        out / "queries.jsonl",
        [{"query": found[text]["synopsis"], "item_ids": [found[text]["_id"]], "split": part}
         for text, part in zip(drawn, split, strict=True)],
    )  # fmt: skip


def _packages(lists: Path, kind: str) -> Iterator[dict[str, str]]:
    """The paragraphs of all of apt's lists of a kind, field by field."""
    for path in sorted(lists.glob(f"*{kind}*")):
        text = subprocess.run([APT, "cat-file", path], check=True, capture_output=True).stdout.decode(errors="replace")
        for paragraph in text.split("\n\n"):
            yield _fields(paragraph.split("\n"))


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """`Name: value` a line; a line that begins with a space goes on with the value before it."""
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith((" ", "\t")):
            fields[name] += "\n" + line[1:]
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return {key: value for key, value in fields.items() if key} | {"Package": fields.get("Package", "")}


def _write(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json_text(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


if __name__ == "__main__":
    main()
