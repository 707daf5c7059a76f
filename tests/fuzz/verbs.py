"""Commands over runs: every verb that opens one, with words that go well on a run that is whole."""

import random

from fuzz.home import RESUME, TEACH
from fuzz.words import word
from lmindexer.cli.app import app

TAUGHT = [str(word) for word in TEACH]
LOOKS: dict[str, list[list[str]]] = {  # by verb, words behind the run
    "inspect": [[], ["--format", "json"], ["--svg", "out.svg"]],
    "export": [[], ["--out", "out.csv"], ["--out", "out.parquet"]],
    "explore": [["--out", "out.html"]],  # figures take seconds, and of a run they read no more
    "check": [[], ["--mend"]],
    "compare": [["other", "--resamples", "20"], ["--resamples", "0", "--out", "out.json"]],
    "pairs": [["--n", "4", "--depth", "1", "--out", "out.csv"]],
    "pseudo": [["--ways", "title,words", "--out", "out.jsonl"]],
    "index": [["more.jsonl"], ["more.jsonl", "--out", "out.csv"], ["more.jsonl", "--embeddings", "more.npy"]],
    "add": [["more.jsonl"], ["more.jsonl", "--embeddings", "more.npy"]],
    "remove": [["doc3", "doc7"], ["--from", "ids.txt"]],
    "search": [
        ["the rose"], ["the rose", "--exact"], ["rose and storm", "--method", "bm25"],
        ["--history", "doc1,doc3"], ["rose", "--only", "garden", "--method", "bm25"],
        ["rose", "--method", "hybrid", "--format", "jsonl"], ["rose", "--only-ids", "ids.txt"],
    ],
    "evaluate": [
        ["--metrics", "recall@3"], ["--method", "popular", "--metrics", "ndcg@5"],
        ["--queries", "beir", "--method", "bm25", "--metrics", "recall@3 ndcg@3", "--format", "json"],
        ["--method", "bm25", "--method", "generative", "--metrics", "mrr@3", "--split", "dev", "--out", "out.md"],
    ],
    "finetune": [["--queries", "queries.jsonl", "--out", "made", *TAUGHT], ["taken.txt", "--out", "made", *TAUGHT]],
}  # fmt: skip
WEIGHTS = {"finetune": 0.3, "compare": 0.6, "explore": 0.6, "evaluate": 1.5, "search": 3.0}  # others: 1
ODD = [
    *(
        "",
        " ",
        "-1",
        "0",
        "1",
        "2",
        "1.5",
        "nan",
        "inf",
        "1e999",
        "9" * 400,
        "x" * 5000,
        "a\nb",
        "é",
        "\udce9",
        "\u2028",
    ),
    *("other", "items.jsonl", ".", "/dev/null", "missing", "missing/x.json", "a,b", ",", "1,2", "recall@0", "recall@3"),
    *("ndcg", "id", "title", "x.csv", "x.parquet", "out", "beir", "queries.jsonl", "-", "--", "--help", "--nonsense"),
    *("doc1", "garden", "['a']", "{", "test", "train", "dev", "cuda", "cuda:99", "meta", "rank", "bm25", "%s", "$HOME"),
]  # nothing that is large and can be done: who asks for a billion resamples waits for them
SLOW = {"--model", "--embeddings", "--backbone"}  # a pretrained model each


def look(dice: random.Random, run: str) -> list[str]:
    """A command over the run that should go well if the run is whole and can do that."""
    verb = dice.choices(list(LOOKS), [WEIGHTS.get(verb, 1.0) for verb in LOOKS])[0]
    return [verb, run, *dice.choice(LOOKS[verb])]


def go_on(run: str) -> list[str]:
    """The command that finishes a stopped run."""
    return [*map(str, RESUME[run]), "--resume", "--out", run]


def odd(dice: random.Random, command: list[str]) -> list[str]:
    """One to three words of a command changed, left out, put in or moved."""
    command = [*command]
    for _ in range(dice.randint(1, 3)):
        at, change = dice.randrange(len(command)), dice.randrange(7)
        odd_word = dice.choice(ODD) if dice.random() < 0.8 else word(dice)
        odd_word = odd_word.replace("\0", "").encode("utf-8", "replace").decode() if odd_word != "\udce9" else odd_word
        if change == 0:
            command[at] = odd_word
        elif change == 1 and len(command) > 1:
            del command[at]
        elif change == 2:
            command.insert(at, odd_word)
        elif change == 3:
            dice.shuffle(command)
        else:
            flag = _flag(dice, command[0])
            command += [flag] if dice.random() < 0.2 else [flag, odd_word]
    return command or [dice.choice(ODD)]


def _flag(dice: random.Random, verb: str) -> str:
    """A flag of this verb, or now and then of another."""
    verbs = app.commands
    command = verbs[verb] if verb in verbs and dice.random() < 0.8 else dice.choice(list(verbs.values()))
    flags = [flag for parameter in command.params for flag in parameter.opts if flag.startswith("-")]
    return dice.choice([flag for flag in flags if flag not in SLOW or dice.random() < 0.1] or ["--help"])
