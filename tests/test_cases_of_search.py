"""Cases of ../shared/cases/search that need a run: what is right is said here, or in the case's README.

As in test_cases.py, nothing is tested where that folder is not there. The same faults are made by hand in
test_searching.py, test_flipped_bits.py and the other tests of the verbs.
"""

import ast
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from command_line import Answer, learned, lmindexer
from test_cases import CASES, there
from test_finetuning import finetuned

SEARCH = CASES / "search"
FUZZ = SEARCH / "30-fuzz-found"
pytestmark = pytest.mark.skipif(
    not SEARCH.is_dir(), reason=f"no folder {SEARCH}; name that above it by LMINDEXER_CASES"
)


@pytest.fixture(scope="module")
def home(checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of the kinds that the cases are about, of documents with the same ids; none lists its files (format 1)."""
    folder = tmp_path_factory.mktemp("runs")
    items = there("search/01-beir-folder-as-corpus/corpus.jsonl")
    few = folder / "few.jsonl"
    few.write_text("".join(items.read_text(encoding="utf-8").splitlines(keepends=True)[:24]), encoding="utf-8")
    (folder / "new.jsonl").write_text('{"_id": "new", "title": "", "text": "a bridge over the river"}\n')
    learned(few, "--out", folder / "rnd", "--indexer", "random")
    learned(items, "--out", folder / "km", "--indexer", "rq-kmeans", "--embeddings", checkpoints["bert"])
    learned(items, "--out", folder / "lm", "--backbone", checkpoints["bert"])
    finetuned(folder / "km", "--queries", items.parent, "--out", folder / "ft")
    for run in ("rnd", "km", "lm", "ft"):
        facts = json.loads((folder / run / "run.json").read_text())
        del facts["files"]
        (folder / run / "run.json").write_text(json.dumps(facts | {"format": 1}))
    return folder


def is_right_or_a_sentence(answer: Answer) -> bool:
    """It went well, or was refused in one line that a terminal can show."""
    last = answer.err.splitlines()[-1] if answer.err else ""
    assert answer.code in (0, 2), answer.err
    if answer.code == 2:
        assert re.fullmatch(r"lmindexer: .{9,800}", last), answer.err
        assert last.isprintable()
    return True


def fuzzed(kinds: str) -> list[Path]:
    return sorted(path for path in FUZZ.glob("*") if re.fullmatch(f"({kinds})-.*", path.name))


def verbs(run: Path, folder: Path) -> Iterable[tuple[object, ...]]:
    """What reads a run, and at last what changes it."""
    new = folder / "new.jsonl"
    yield "inspect", run
    yield "search", run, "river", "--method", "bm25"
    yield "search", run, "river"
    yield "compare", run, run.parent / "other"
    yield "explore", run
    yield "export", run
    yield "pairs", run, "--depth", 1, "--out", run.parent / "pairs.html"
    yield "pseudo", run, "--ways", "words", "--out", run.parent / "pseudo.jsonl"
    yield "index", run, new
    yield "check", run
    yield "add", run, new
    yield "remove", run, "d3"


@pytest.mark.slow
@pytest.mark.parametrize("case", fuzzed("runfolder"), ids=lambda case: case.name)
def test_a_spoiled_run_ends_in_a_sentence(case: Path, home: Path, tmp_path: Path):
    what = (case / "WHAT.txt").read_text(encoding="utf-8")
    name = re.findall(r"^(rnd|km|lm|ft)/", what, re.M)[-1]
    run = Path(shutil.copytree(home / name, tmp_path / "run"))
    shutil.copytree(home / name, tmp_path / "other")
    for spoiled in case.glob("mut-*"):
        shutil.copyfile(spoiled, run / spoiled.name.removeprefix("mut-"))
    for verb in verbs(run, home):
        answer = lmindexer(*verb)
        if verb[0] == "check":
            assert answer.code in (0, 1, 2)
        else:
            assert is_right_or_a_sentence(answer)


@pytest.mark.parametrize("case", fuzzed("argv"), ids=lambda case: case.name)
def test_odd_arguments_end_in_a_sentence(case: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(home)
    arguments = ast.literal_eval((case / "args.txt").read_text(encoding="utf-8"))
    typed = [word.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape") for word in arguments]
    assert is_right_or_a_sentence(lmindexer(*(word.replace("WORK/runs/", "") for word in typed)))


FILES = "jsonl|parquet|toml|idlist|sequences|qrels|queries"


@pytest.mark.parametrize("case", fuzzed(FILES), ids=lambda case: case.name)
def test_odd_files_end_in_a_sentence(case: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path(shutil.copytree(home, tmp_path / "here")))
    (beir := tmp_path / "beir" / "qrels").mkdir(parents=True)
    for path in case.iterdir():
        shutil.copyfile(path, (beir if path.suffix == ".tsv" else beir.parent) / path.name)
    given = {path.suffix: path for path in beir.parent.iterdir() if path.is_file() and path.name != "WHAT.txt"}
    evaluate = ("evaluate", "rnd", "--metrics", "recall@3")
    commands: list[tuple[object, ...]] = {
        "jsonl": [("index", "rnd", given.get(".jsonl"), "--skip-bad")],
        "parquet": [
            ("index", "rnd", given.get(".parquet"), "--id", id, "--text", text)
            for id, text in (("id", "text"), ("_id", "title,text"), ("0", "'b"), ("text", "id"))
        ] + [
            ("pseudo", "rnd", "--column", column, "--files", given.get(".parquet"), "--out", tmp_path / "p.jsonl")
            for column in ("id", "text")
        ],
        "toml": [("learn", "few.jsonl", "--config", given.get(".toml"), "--indexer", "random", "--out", "new")],
        "idlist": [
            ("search", "rnd", "river", "--method", "bm25", *only)
            for only in (("--only-ids", given.get(".txt")), ("--only", "x" * 5000))
        ],
        "sequences": [(*evaluate, "--sequences", given.get(".jsonl"), "--method", "popular", "--split", "dev")],
        "qrels": [
            (*evaluate, "--method", "bm25", "--queries", beir.parent, "--split", split)
            for split in ("test", "a\nb", '\ufeff\t\ufeff\n;\ufeff\n"\\')
        ],
    }  # fmt: skip
    commands["queries"] = commands["qrels"]
    for command in commands[case.name.split("-")[0]]:
        assert is_right_or_a_sentence(lmindexer(*command))


def test_bm25_finds_chinese(home: Path, tmp_path: Path):
    chinese = there("search/17-bm25-without-words")
    learned(chinese / "cn.jsonl", "--out", tmp_path / "run", "--indexer", "random")
    answer = lmindexer("evaluate", tmp_path / "run", "--queries", chinese / "cnq.jsonl", "--method", "bm25",
                       "--metrics", "recall@10", "--format", "json")  # fmt: skip
    found = json.loads(answer.out)
    assert found["tables"]["all"]["methods"]["bm25"]["metrics"]["recall@10"]["mean"] == 1
    assert not any("no word" in note for note in found["notes"])
    for query in (chinese / "queries.txt").read_text().splitlines():
        answer = lmindexer("search", tmp_path / "run", query, "--method", "bm25")
        assert (answer.code, bool(answer.out)) == (0, query == "5 g")
        assert answer.out or f"nothing found for {query!r}" in answer.err


def test_a_label_with_a_sign_of_levels_is_found(tmp_path: Path):
    items = there("search/15-label-with-gt/cn.jsonl")
    learned(items, "--out", tmp_path / "run", "--indexer", "random", "--label", "label")
    answer = lmindexer("search", tmp_path / "run", "桥", "--method", "bm25", "--only", "桥>水")
    assert (answer.code, answer.out.split()[2]) == (0, "c1")


def test_questions_to_learn_from_that_are_asked_again_are_told(home: Path, tmp_path: Path):
    same = there("search/22-same-questions-in-train-and-test")
    told = "have the words of dev or test queries"
    assert told in lmindexer("finetune", home / "km", "--queries", same, "--out", tmp_path / "ft").err
    answer = lmindexer("evaluate", home / "ft", "--queries", same, "--method", "bm25")
    assert answer.code == 0, answer.err
    assert re.search("Note: .* queries have the words of queries that the run was trained with", answer.out)


def test_a_killed_fine_tuning_names_the_way_to_go_on(home: Path, tmp_path: Path):
    there("search/19-finetune-killed-wrong-advice")
    run = Path(shutil.copytree(home / "ft", tmp_path / "ft"))
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"state": "learning"}))
    assert re.search(r"lmindexer finetune .* --resume --out", lmindexer("inspect", run).err)
    items = there("search/01-beir-folder-as-corpus/corpus.jsonl")
    assert "is a fine-tuning, not a run that learns IDs" in lmindexer("learn", items, "--resume", "--out", run).err
