"""kill -9 at any change of a run's files, drawn by chance: whoever looks is answered right or told the way on, and the
same command again ends as if it had not been killed."""

import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from command_line import SMALL, Answer, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.ids.table import IdTable
from lmindexer.indexers.store import documents_and_ids
from lmindexer.runs import Run
from small_tasks import QUICK, write_queries, write_sequences
from stepped import Moment, Stepped

CHAINS, KILLS = 2, 3  # of each command; in a chain, what goes on is killed again
TIMED = {"report.json", "finetune.json"}  # they hold seconds
FINETUNE = [f"--{name.replace('_', '-')}={value}" for name, value in (QUICK | {"epochs": 3}).items()]
WAY_ON = re.compile(r"lmindexer (learn|finetune|check) ")
LOOKS = (["inspect"], ["export"], ["explore"], ["compare", "--resamples", 0], ["search", "rose", "--method", "bm25"])


@dataclass(frozen=True)
class Command:
    """What is killed: its words, and the folder that it changes, or makes where `source` is None."""

    words: list[object]
    run: Path
    source: Path | None = None

    def begin(self) -> None:
        """The folder as it is before the command."""
        shutil.rmtree(self.run, ignore_errors=True)
        if self.source is not None:
            shutil.copytree(self.source, self.run)


@pytest.fixture(scope="module")
def commands(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Command]:
    home = tmp_path_factory.mktemp("home")
    new = Corpus.from_documents(Document(f"new{n}", f"old rose and new soil {n}", ("garden",)) for n in range(9))
    items, more = write_items(corpus, home / "items.jsonl"), write_items(new, home / "new.jsonl")
    queries, sequences = write_queries(home / "queries.jsonl"), write_sequences(home / "taken.txt", corpus)
    plain, taught, run = home / "plain", home / "taught", home / "run"
    backbone = ["--backbone", checkpoints["bert"]]
    learned(items, "--out", plain, "--label", "kind", *backbone)
    answer = lmindexer("finetune", plain, sequences, "--out", taught, "--items", "both", *FINETUNE)
    assert answer.code == 0, answer.err
    resume: list[object] = ["--checkpoint-seconds", 0, "--resume", "--out", run]
    leaving = [f"doc{n}" for n in range(0, 30, 2)]
    return {
        "learn": Command(["learn", items, *backbone, *SMALL, "--encoder", "full", *resume], run),
        "finetune": Command(["finetune", plain, "--queries", queries, *FINETUNE, "--encoder", "full", *resume], run),
        "add": Command(["add", run, more, "--label", "kind"], run, taught),
        "remove": Command(["remove", run, *leaving], run, plain),
    }


def spoil(moment: Moment, dice: random.Random) -> None:
    """What is about to be renamed was written in part; so was the line that is about to be logged."""
    if moment.event == "os.rename" and moment.path.is_file() and dice.random() < 0.5:
        whole = moment.path.read_bytes()
        moment.path.write_bytes(whole[: dice.randrange(len(whole))])
    elif moment.event == "open" and moment.path.name == "log.jsonl" and moment.path.exists():
        with moment.path.open("a") as log:
            log.write('{"stage": "codes')


def killed(command: Command, moment_to_die: int, dice: random.Random) -> bool:
    """Whether the command came to that moment, and died there."""
    with Stepped(command.run, *command.words) as process:
        for n, moment in enumerate(process.moments()):
            if n == moment_to_die:
                spoil(moment, dice)
                process.kill()
                return True
        assert process.end()[0] == 0 or is_there_already(command)
        return False


def is_there_already(command: Command) -> bool:
    """A `remove` that was killed behind its last rename has done its work, and says that nothing is left to do."""
    return command.words[0] == "remove" and "doc0" not in contents(command.run)[1]


def contents(run: Path) -> tuple[list[Document], IdTable]:
    corpus, ids = documents_and_ids(Run.open(run))
    ids.check()
    return list(corpus), ids


def is_right(answer: Answer) -> bool:
    """Answered, or one sentence with the command that finishes."""
    if answer.code == 0:
        return True
    sentence = r"lmindexer: [^\n]+\n"
    return answer.code == 2 and bool(re.fullmatch(sentence, answer.err)) and bool(WAY_ON.search(answer.err))


def look(run: Path, states: list[tuple[list[Document], IdTable]]) -> None:
    """Every verb answers one of the whole states or tells the way on; check says what is the matter, and mends it."""
    for verb, *rest in LOOKS:
        answer = lmindexer(verb, run, *rest)
        assert is_right(answer), (verb, answer)
    if not Run.is_begun(run) or Run.open(run, finished=False).facts["state"] == "learning":
        with pytest.raises(InputError, match=WAY_ON):
            contents(run)
        answer = lmindexer("check", run)
        assert answer.code == 1 or is_right(answer), answer
        return
    documents, ids = contents(run)
    assert (documents, ids) in states
    mended = Path(shutil.copytree(run, run.with_name("mended"), dirs_exist_ok=True))
    answer = lmindexer("check", mended, "--mend")
    assert answer.code == 0 or (WAY_ON.search(answer.out) and "is not finished" in answer.out), answer
    assert contents(mended) == (documents, ids)
    shutil.rmtree(mended)


def listed(run: Path) -> dict[str, str]:
    """By name, the digest of every file that has one and no seconds in it."""
    return {name: entry["digest"] for name, entry in Run.open(run).files.items() if name not in TIMED}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["learn", "finetune", "add", "remove"])
def test_killed_at_any_change_of_its_files(name: str, commands: dict[str, Command]):
    command, dice = commands[name], random.Random(name)
    command.begin()
    states = [contents(command.run)] if command.source is not None else []
    with Stepped(command.run, *command.words) as process:
        moments = sum(1 for _ in process.moments())
        assert process.end()[0] == 0
    states.append(contents(command.run))
    whole = listed(command.run)
    deaths = 0
    for _ in range(CHAINS):
        command.begin()
        for _ in range(KILLS):
            deaths += killed(command, dice.randrange(moments), dice)
            look(command.run, states)
        last = lmindexer(*command.words)
        assert last.code == 0 or is_there_already(command), last
        assert contents(command.run) == states[-1]
        assert listed(command.run) == whole
        assert lmindexer("check", command.run).code == 0
    assert deaths >= CHAINS + 1, "killed at every first try, and more than that"
