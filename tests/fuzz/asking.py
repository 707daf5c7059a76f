"""Files to ask runs with, made odd: queries, judgements, what users took, lists of ids, rating sheets, recipes."""

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

from fuzz.tables import Made, perhaps_mangled
from fuzz.words import VALUES, WORDS, value, word
from lmindexer.config import FinetuneConfig, LearnConfig

QUERY_NAMES = ("query", "text", "item_ids", "doc_ids", "_id", "id", "grades", "split", "source", "joined_ids", "x")
GRADES = ("1", "0", "-1", "2.5", "nan", "inf", "1e999", "9" * 400, "", "yes", "1_0", "\u0661")


def queries(dice: random.Random) -> Made:
    """JSONL of queries and their documents; all of one split, or of several."""
    lines = []
    for n in range(dice.randint(1, 9)):
        query: dict[str, Any] = {"query": f"rose {n} {dice.choice(WORDS)}", "item_ids": [f"doc{dice.randrange(30)}"]}
        if dice.random() < 0.3:
            query["split"] = dice.choice(["train", "dev", "test", "val", word(dice)])
        while dice.random() < 0.25:
            query[dice.choice(QUERY_NAMES)] = dice.choice([value(dice), [value(dice)], "doc3", ["doc3", "doc3"]])
        lines.append(json.dumps(query))
    return perhaps_mangled(dice, ".jsonl", "\n".join(lines), len(lines))


def qrels(dice: random.Random) -> Made:
    mark = dice.choice(["\t", "\t", " ", "  "])
    lines = ["query-id\tcorpus-id\tscore"] if dice.random() < 0.7 else []
    for n in range(dice.randint(1, 12)):
        words = [f"q{n % 9}", f"doc{dice.randrange(26)}", "1"]
        if dice.random() < 0.3:
            words.insert(1, dice.choice(["0", "Q0", word(dice)]))
        if dice.random() < 0.2:
            words[-1] = dice.choice(GRADES)
        if dice.random() < 0.1:
            words[dice.randrange(len(words))] = word(dice)
        lines.append(mark.join(words))
    return perhaps_mangled(dice, ".tsv", "\n".join(lines), None)


def sequences(dice: random.Random) -> Made:
    lines = []
    form = dice.choice(["words", "jsonl", "events"])
    for n in range(dice.randint(1, 12)):
        items: list[Any] = [f"doc{dice.randrange(24)}" for _ in range(dice.randint(1, 6))]
        if dice.random() < 0.2:
            items[dice.randrange(len(items))] = value(dice)
        if form == "words":
            lines.append(" ".join([f"u{n}", *map(str, items)]))
        elif form == "jsonl":
            user = value(dice) if dice.random() < 0.1 else f"u{n}"
            lines.append(json.dumps({"user": user, dice.choice(["items", "item_ids", "x"]): items}))
        else:
            lines += [json.dumps({"user_id": f"u{n}", "item_id": i, "timestamp": t}) for t, i in enumerate(items)]
            if dice.random() < 0.2:
                lines.append(json.dumps({"user_id": f"u{n}", "item_id": "doc1", "timestamp": value(dice)}))
    return perhaps_mangled(dice, ".txt" if form == "words" else ".jsonl", "\n".join(lines), None)


def id_list(dice: random.Random) -> tuple[Made, list[str]]:
    """The list, and the ids that are on it."""
    ids = [f"doc{dice.randrange(24)}" for _ in range(dice.randint(1, 9))]
    if dice.random() < 0.3:
        ids.insert(dice.randrange(len(ids)), word(dice))
    mark = dice.choice(["\n", "\n", "\r\n", "\n\n", " \n"])
    return perhaps_mangled(dice, ".txt", mark.join(ids), len(ids)), ids


def imported(dice: random.Random, table: list[dict[str, Any]]) -> Made:
    """IDs as another program writes them, of lines of `export`: JSONL, an index.json, CSV."""
    rows = [dict(row) for row in table]
    while dice.random() < 0.5:
        row = dice.choice(rows)
        codes = [*row["codes"]]
        change = dice.randrange(5)
        if change == 0:
            codes[dice.randrange(len(codes))] = dice.choice(
                [-1, 2**31, 10**30, 1.5, None, True, "a", "<a_3>", value(dice)]
            )
        elif change == 1:
            codes = dice.choice([[], codes[:-1], [*codes, 0], value(dice)])
        elif change == 2:
            row["id"] = dice.choice([value(dice), "doc1", "nobody"])
        elif change == 3:
            rows.append(dict(row))
        elif len(rows) > 1:
            rows.remove(row)
        if isinstance(codes, list) and codes:
            row["codes"] = codes
    form = dice.choice([".jsonl", ".jsonl", ".json", ".csv"])
    if form == ".csv":
        lines = [
            ",".join(["id", *(f"c{n}" for n in range(1, len(rows[0]["codes"]))), dice.choice(["suffix", "x", "c9"])])
        ]
        lines += [",".join([str(row["id"]), *map(str, row["codes"])]) for row in rows]
        return perhaps_mangled(dice, form, "\n".join(lines), None)
    if form == ".json":
        letters = {
            str(row["id"]): [f"<{'abcdefgh'[n % 8]}_{code}>" for n, code in enumerate(row["codes"])] for row in rows
        }
        return perhaps_mangled(dice, form, json.dumps(letters), None)
    return perhaps_mangled(dice, form, "\n".join(map(json.dumps, rows)), len(rows))


def standard_input(dice: random.Random) -> bytes:
    lines = [dice.choice(["the rose", "storm", "doc1", "doc1,doc3", word(dice)]) for _ in range(dice.randint(0, 6))]
    return perhaps_mangled(dice, "", "\n".join(lines), None).content


def sheet(dice: random.Random, whole: str) -> Made:
    """A filled sheet: answers changed, rows and columns that came or went, another separator or encoding."""
    lines = whole.splitlines()
    while dice.random() < 0.6:
        at = dice.randrange(len(lines))
        change = dice.randrange(6)
        if change == 0:
            lines[at] = lines[at].rpartition(",")[0] + "," + dice.choice(["yes", "no", "1", "", "YES", "?", word(dice)])
        elif change == 1:
            lines.insert(at, dice.choice([lines[at], "", ",,,", word(dice)]))
        elif change == 2 and len(lines) > 1:
            del lines[at]
        elif change == 3:
            lines = [line.replace(",", ";") for line in lines]
        elif change == 4:
            lines = [f"{line},{dice.choice(WORDS)}" for line in lines]
        else:
            lines[at] = lines[at].replace('"', "", 1)
    return perhaps_mangled(dice, ".csv", "\n".join(lines) + "\n", None)


def key(dice: random.Random, whole: str) -> Made:
    return perhaps_mangled(dice, ".json", json.dumps(changed(dice, json.loads(whole))), None)


def recipe(dice: random.Random, finetuning: bool) -> Made:
    fields = dataclasses.fields(FinetuneConfig if finetuning else LearnConfig)
    lines = []
    for field in dice.sample(fields, dice.randint(0, 5)):
        odd = ["1", "0", "-1", "1.5", "true", '"x"', "[]", "[1, 2]", '["a"]', "nan", "inf", "1e999", "2024-05-01", "{}"]
        odd += ["[[1]]", "'" + "x" * 2000 + "'", "[" * 3000 + "]" * 3000, "{a = " * 2000 + "1" + "}" * 2000, "9" * 5000]
        name = (
            field.name if dice.random() < 0.8 else dice.choice([field.name[:-1], field.name.replace("_", "-"), "x y"])
        )
        default = json.dumps(field.metadata["default"]) if dice.random() < 0.4 else dice.choice(odd)
        lines.append(f"{name} = {default}")
    if dice.random() < 0.1:
        lines.insert(0, dice.choice(["[learn]", "[[a]]", "x", word(dice)]))
    return perhaps_mangled(dice, ".toml", "\n".join(lines), None)


def changed(dice: random.Random, whole: Any) -> Any:
    """JSON with one thing changed, deleted or added, somewhere in it."""
    if isinstance(whole, dict) and whole and dice.random() < 0.9:
        name = dice.choice(list(whole))
        if dice.random() < 0.15:
            return {key: kept for key, kept in whole.items() if key != name}
        if dice.random() < 0.1:
            return whole | {word(dice): value(dice)}
        return whole | {name: changed(dice, whole[name])}
    if isinstance(whole, list) and whole and dice.random() < 0.8:
        at = dice.randrange(len(whole))
        return [*whole[:at], *dice.choice([[], [whole[at]] * 2, [changed(dice, whole[at])]]), *whole[at + 1 :]]
    if isinstance(whole, int | float) and dice.random() < 0.5:
        return dice.choice([-whole, whole + 1, 0, 2**40, str(whole), [whole]])
    return dice.choice([value(dice), dice.choice(VALUES), "../../x", "/etc/passwd"])


def write(made: Made, path: Path) -> str:
    """Its name, once it lies in the folder of `path`."""
    path = path.with_name(path.name + made.suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.content)
    return path.name
