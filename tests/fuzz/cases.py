"""Every kind of input: a folder with something odd in it, the command that is given it, and what may not be lost."""

import gzip
import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from command_line import Answer
from fuzz import asking, folders, tables, vectors, verbs
from fuzz.home import FINISHED, SMALL_FILES, STOPPED
from fuzz.words import mangled
from raw_sets import MAKERS

RECORDS_LEFT_OUT = re.compile(r"^skipped ([\d,]+):", re.MULTILINE)
ALREADY_THERE = re.compile(r"added ([\d,]+); ([\d,]+) already there")
JOINED = re.compile(r"([\d,]+) of [\d,]+ queries of .* are joined with it")
READ_ALL = ["--skip-bad", "--keep-empty", "--keep-going"]


@dataclass(frozen=True)
class Case:
    """A command to be given in a folder, and how what it said of a whole folder is judged."""

    command: list[str]
    stdin: bytes = b""
    what: str = ""  # was made odd
    whole: str = (
        ""  # a file of this run was changed, and run.json tells of it: the whole run's answer is right, or none
    )
    learns: bool = True  # or all but that: files are read and settings resolved
    lost: Callable[[Answer], str] = field(default=lambda answer: "")  # of exit code 0: what was lost, or ""


Maker = Callable[[random.Random, Path, Path], Case]  # of dice, home and the folder of the case


def bring(home: Path, folder: Path, run: str, name: str = "run") -> str:
    """A copy of one of the home's runs in the case's folder."""
    shutil.copytree(home / run, folder / name)
    return name


def lay_out(home: Path, folder: Path) -> None:
    """The whole files that a command may name, in a new folder."""
    folder.mkdir()
    for name in SMALL_FILES:
        shutil.copyfile(home / name, folder / name)
    shutil.copytree(home / "beir", folder / "beir")
    (folder / "bert").symlink_to(home / "bert")


def number(text: str) -> int:
    return int(text.replace(",", ""))


def of_catalogue(dice: random.Random, home: Path, folder: Path) -> Case:
    made = tables.catalogue(dice)
    file = asking.write(made, folder / "odd")
    if dice.random() < 0.1:
        (folder / "shards").mkdir()
        shutil.move(folder / file, folder / "shards" / file)
        shutil.copyfile(home / "more.jsonl", folder / "shards" / "more.jsonl")
        made, file = tables.Made(made.suffix, made.content), "shards"
    flags = READ_ALL if dice.random() < 0.5 else [flag for flag in (*READ_ALL, "--keep-markup") if dice.random() < 0.5]
    if dice.random() < 0.3:
        flags = [*flags, "--text", dice.choice(["title", "text", "title,text", "x", "items", "time"])]
    verb = dice.choice(["index", "index", "add", "learn", "pseudo"])
    if verb == "learn":
        label = ["--label", dice.choice(["label", "time", "x"])] if dice.random() < 0.5 else []
        return Case(["learn", file, "--indexer", "random", "--out", "made", "--quiet", *flags, *label], what=file)
    run = bring(home, folder, "random")
    if verb == "pseudo":
        column = dice.choice(["title", "text", "x", "items", "time"])
        return Case(["pseudo", run, "--column", column, "--files", file, "--id", "id", "--out", "out.jsonl"], what=file)

    def lost(answer: Answer) -> str:
        skipped = sum(map(number, RECORDS_LEFT_OUT.findall(answer.err)))
        counted = answer.out.count("\n")
        if verb == "add" and (told := ALREADY_THERE.search(answer.err)):
            counted += number(told[2])
        read = counted + skipped
        return "" if made.records in (None, read) else f"{made.records} records, but {counted} + {skipped} skipped"

    return Case([verb, run, file, *flags], what=file, lost=lost)


def of_queries(dice: random.Random, home: Path, folder: Path) -> Case:
    made = asking.queries(dice)
    one_split = b'"split"' not in made.content
    if dice.random() < 0.3:
        made = tables.packed(dice, made)
    file = asking.write(made, folder / "odd")
    flags = ["--method", "bm25", "--metrics", "recall@3", "--format", "json"]
    flags += [flag for flag in ("--answerable", "--leave-self-out") if dice.random() < 0.2]
    if dice.random() < 0.2:
        flags += ["--trec", "out.trec"]
    if dice.random() < 0.1:
        command = ["finetune", bring(home, folder, "kmeans"), "--queries", file, "--out", "made", *verbs.TAUGHT]
        return Case(command, what=file)
    split = dice.choice(["test", "test", "train", "dev", "val", "x"])
    certain = made.records is not None and one_split and "--answerable" not in flags

    def lost(answer: Answer) -> str:
        told = json.loads(answer.out)
        joined = sum(number(each[1]) for note in told["notes"] if (each := JOINED.match(note)))
        asked = told["tables"]["all"]["methods"]["bm25"]["queries"]
        is_lost = certain and asked + joined != made.records
        return f"{made.records} queries, {asked} asked and {joined} joined" if is_lost else ""

    return Case(
        ["evaluate", bring(home, folder, "kmeans"), "--queries", file, *flags, "--split", split], what=file, lost=lost
    )


def of_judgements(dice: random.Random, home: Path, folder: Path) -> Case:
    run = bring(home, folder, "kmeans")
    flags = ["--method", "bm25", "--metrics", "ndcg@3", "--format", "json"]
    if dice.random() < 0.2:
        flags += ["--relevance-level", dice.choice(["1", "2", "1e300", "0.1"])]
    made = asking.qrels(dice)
    if dice.random() < 0.5:
        (folder / "beir" / "qrels" / "test.tsv").write_bytes(made.content)
        return Case(["evaluate", run, "--queries", "beir", *flags], what="beir")
    file = asking.write(tables.packed(dice, made) if dice.random() < 0.3 else made, folder / "odd")
    return Case(["evaluate", run, "--queries", "beir/queries.jsonl", "--qrels", file, *flags], what=file)


def of_sequences(dice: random.Random, home: Path, folder: Path) -> Case:
    made = asking.sequences(dice) if dice.random() < 0.7 else tables.catalogue(dice)
    file = asking.write(tables.packed(dice, made) if dice.random() < 0.3 else made, folder / "odd")
    flags = ["--keep-going"] if dice.random() < 0.5 else []
    if dice.random() < 0.2:
        return Case(
            ["finetune", bring(home, folder, "kmeans"), file, "--out", "made", *verbs.TAUGHT, *flags], what=file
        )
    command = ["evaluate", bring(home, folder, "random"), "--sequences", file, "--method", "popular", *flags]
    return Case([*command, "--metrics", "recall@3", "--split", dice.choice(["test", "dev", "train"])], what=file)


def of_id_list(dice: random.Random, home: Path, folder: Path) -> Case:
    made, ids = asking.id_list(dice)
    file = asking.write(made, folder / "odd")
    run = bring(home, folder, "learned")
    certain = made.records is not None and all(id.startswith("doc") for id in ids)
    if dice.random() < 0.5:

        def lost(answer: Answer) -> str:
            left = sum(1 for _ in (folder / run / "ids.1.jsonl").open())
            return f"{left} of 24 are left of {len(set(ids))} to go" if certain and left != 24 - len(set(ids)) else ""

        return Case(["remove", run, "--from", file], what=file, lost=lost)
    command = ["search", run, "rose", "--only-ids", file, "--format", "jsonl", "-k", "24", "--exact"]

    def missing(answer: Answer) -> str:
        found = [json.loads(line)["id"] for line in answer.out.splitlines()]
        return f"{sorted(found)} found of {ids}" if certain and sorted(found) != sorted(set(ids)) else ""

    return Case(command, what=file, lost=missing)


def of_standard_input(dice: random.Random, home: Path, folder: Path) -> Case:
    run, retriever = dice.choice([("kmeans", "bm25"), ("learned", "generative"), ("recommend", "")])
    asked = ["--history", "-"] if not retriever else ["-", "--method", retriever]
    command = ["search", bring(home, folder, run), *asked, *dice.choice([["--format", "jsonl"], [], ["-k", "3"]])]
    content = asking.standard_input(dice)

    def lost(answer: Answer) -> str:
        questions = sum(bool(line.decode("utf-8-sig").strip()) for line in content.split(b"\n"))
        answered = answer.out.count('"rank": 1,') + answer.err.count("note: nothing found for ")
        is_lost = "jsonl" in command and answered != questions
        return f"{questions} questions, {answered} answers" if is_lost else ""

    return Case(command, content, lost=lost)


def of_sheet(dice: random.Random, home: Path, folder: Path) -> Case:
    whole = (folder / "sheet.csv").read_text()
    if dice.random() < 0.7:
        sheets = [asking.write(asking.sheet(dice, whole), folder / "rater"), *dice.choice([[], ["sheet.csv"]])]
    else:
        sheets = ["sheet.csv"]
        (folder / "sheet.key.json").write_bytes(asking.key(dice, (folder / "sheet.key.json").read_text()).content)

    def lost(answer: Answer) -> str:
        counted = sum(method["ratings"] + method["unrated"] for method in json.loads(answer.out)["methods"])
        pairs = whole.count("\n") - 1
        return "" if counted == pairs * len(sheets) else f"{counted} ratings of {len(sheets)} sheets of {pairs} pairs"

    return Case(["score", *sheets, "--key", "sheet.key.json", "--format", "json"], what=sheets[0], lost=lost)


def of_imported(dice: random.Random, home: Path, folder: Path) -> Case:
    lines = (home / "random" / "ids.jsonl").read_text().splitlines()
    if dice.random() < 0.2:
        shutil.copyfile(home / "random" / "ids.parquet", folder / "odd.parquet")
        folders.by_format(dice, folder / "odd.parquet")
        file = "odd.parquet"
    else:
        file = asking.write(asking.imported(dice, list(map(json.loads, lines))), folder / "odd")
    flags = ["--last", dice.choice(["code", "suffix"])] if dice.random() < 0.5 else []
    command = ["import", file, "--documents", "items.jsonl", "--text", "title", "--out", "made", *flags]

    def lost(answer: Answer) -> str:
        kept = (folder / "made" / "ids.jsonl").read_text().count("\n")
        return "" if kept == len(lines) or "left out" in answer.err else f"{kept} IDs of {len(lines)} documents"

    return Case([*command, *dice.choice([[], ["--keep-going"]])], what=file, lost=lost)


def of_vectors(dice: random.Random, home: Path, folder: Path) -> Case:
    verb = dice.choice(["learn", "learn", "index", "add"])
    file_of = {"learn": "items.jsonl", "index": "more.jsonl", "add": "more.jsonl"}[verb]
    ids = [json.loads(line)["id"] for line in (folder / file_of).read_text().splitlines()]
    made = vectors.vectors(dice, ids)
    file = asking.write(made, folder / "odd")
    column = dice.choice(["", "", "", ":vector", ":x"]) if made.records is None and file.endswith(".parquet") else ""
    words = [file_of, "--embeddings", f"{file}{column}"]
    if verb == "learn":
        indexer = dice.choice(["rq-kmeans", "hc", "random"])
        command = ["learn", *words, "--text", "title", "--indexer", indexer, "--out", "made", "--quiet"]
    else:
        command = [verb, bring(home, folder, "given"), *words]

    def lost(answer: Answer) -> str:
        text = (folder / "made" / "ids.jsonl").read_text() if verb == "learn" else answer.out
        return "" if text.count("\n") == len(ids) else f"{text.count(chr(10))} IDs of {len(ids)} documents"

    return Case(command, what=file, lost=lost)


def of_published(dice: random.Random, home: Path, folder: Path) -> Case:
    """A set in its published form with one file spoiled: inside its packing, or as it lies there."""
    kind = dice.choice(list(MAKERS))
    (folder / "raw").mkdir()
    MAKERS[kind](folder / "raw")
    file = dice.choice(sorted(path for path in (folder / "raw").rglob("*") if path.is_file()))
    if file.suffix == ".gz" and dice.random() < 0.8:
        file.write_bytes(gzip.compress(mangled(dice, gzip.decompress(file.read_bytes()))))
    elif file.suffix == ".parquet":
        folders.by_format(dice, file)
    else:
        file.write_bytes(mangled(dice, file.read_bytes()))
    flags = ["--passages", "20"] if kind in ("msmarco", "trec-dl") else []
    if kind in ("amazon", "movielens", "recbole"):
        flags = dice.choice([[], ["--core", "2"], ["--split-by", "time", "--cuts", "0.3,0.6"], ["--ties", "file"]])
    return Case(["prepare", kind, "raw", "--out", "made", *flags], what=f"{kind}: {file.name}")


def of_recipe(dice: random.Random, home: Path, folder: Path) -> Case:
    finetuning = dice.random() < 0.3
    file = asking.write(asking.recipe(dice, finetuning), folder / "odd")
    source = ["finetune", bring(home, folder, "kmeans"), "--queries", "queries.jsonl"]
    words = source if finetuning else ["learn", "items.jsonl"]
    return Case([*words, "--config", file, "--out", "made", "--quiet"], learns=False)


def of_words(dice: random.Random, home: Path, folder: Path) -> Case:
    bring(home, folder, "random", "other")
    run = bring(home, folder, dice.choice(FINISHED))
    command = dice.choice([
        verbs.look(dice, run), verbs.look(dice, run), ["score", "sheet.csv"],
        ["learn", "items.jsonl", "--indexer", "random", "--quiet", "--out", "made"],
    ])  # fmt: skip
    return Case(verbs.odd(dice, command), what=" ".join(command)[:80], learns=False)


def of_run(dice: random.Random, home: Path, folder: Path) -> Case:
    source = dice.choice(FINISHED)
    run = bring(home, folder, source)
    bring(home, folder, "random", "other")
    command = verbs.look(dice, run)
    spoiled = folders.spoil(dice, folder / run, home)
    return Case(command, what=f"{source}: {spoiled.what}", whole=source if spoiled.listed else "")


def of_stopped_run(dice: random.Random, home: Path, folder: Path) -> Case:
    run = bring(home, folder, name := dice.choice(STOPPED), name)
    bring(home, folder, "source", "source")
    spoiled = folders.spoil(dice, folder / run, home)
    return Case(verbs.go_on(name), what=f"{name}: {spoiled.what}")


KINDS: dict[str, tuple[float, Maker]] = {  # how often it is drawn, and what makes it
    "catalogue": (3.0, of_catalogue),
    "queries": (1.5, of_queries),
    "judgements": (1.0, of_judgements),
    "sequences": (1.5, of_sequences),
    "id list": (1.0, of_id_list),
    "standard input": (0.7, of_standard_input),
    "sheet": (0.7, of_sheet),
    "imported": (1.0, of_imported),
    "vectors": (1.5, of_vectors),
    "published": (1.0, of_published),
    "recipe": (1.0, of_recipe),
    "words": (2.5, of_words),
    "run": (6.0, of_run),
    "stopped run": (0.5, of_stopped_run),
}
