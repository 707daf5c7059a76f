"""Whatever is wrong: exit code 2, one sentence that names the thing and a way out, and nothing left behind."""

import errno
import json
import os
import re
import shutil
import stat
from pathlib import Path

import pytest

from command_line import SMALL, Answer, entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.training import Trainer

GOOD = "".join(json.dumps({"id": f"d{n}", "title": f"word{n} rose"}) + "\n" for n in range(6))
LONG = json.dumps({"id": "long", "title": "word " * 2**20}) + "\n"  # 5 MB
FILES = {
    "empty": ("", r"items\.jsonl; give at least one record"),
    "broken line": (GOOD + '{"id": "x", "title": \n', r"items\.jsonl, line 7: broken JSON .*--skip-bad"),
    "not an object": (GOOD + "[1, 2]\n", r"items\.jsonl, line 7: .*one JSON object like .*--skip-bad"),
    "no id": (GOOD + '{"title": "rose"}\n', r"items\.jsonl, line 7: there is no id in 'id'; .*--skip-bad"),
    "no text": (GOOD + '{"id": "x"}\n', r"line 7: there is no text in 'title'; .*--keep-empty.*--skip-bad"),
    "only spaces": (GOOD + '{"id": "x", "title": " \\t "}\n', r"line 7: .* only white space in 'title'; .*--skip-bad"),
    "duplicate id": (GOOD + GOOD.replace("rose", "oak"), r"line 7: the id 'd0' was already in .*line 1; rename one"),
    "not UTF-8": (GOOD.encode() + b'{"id": "x", "title": "\xff"}\n', r"items\.jsonl, line 7: byte \d+ .*iconv"),
    "5 MB": (GOOD + LONG, r"items\.jsonl, line 7: there are 5,\d+,\d+ characters of text, .*split the document"),
    "one document": (GOOD.splitlines()[0], r"only one document.*give at least two"),
    "all equal": (GOOD.replace("word", "").replace('"title": "', '"title": "x", "was": "'), r"all 6 .* same text"),
}  # fmt: skip
FLAGS = {
    "column": (["--text", "titel"], r"no column 'titel' .*its columns are 'id', 'title'"),
    "id column": (["--id", "asin"], r"no column 'asin' .*its columns are 'id', 'title'"),
    "label column": (["--label", "kind"], r"no column 'kind' .*its columns are 'id', 'title'"),
    "sizes": (["--sizes", "256,256"], r"more codes than there are documents \(6\); leave --sizes out for 2,2"),
    "no number": (["--sizes", "4,x"], r"sizes must be a list of int"),
    "negative epochs": (["--epochs", "-1"], r"epochs must be above 0, not -1"),
    "negative weight": (["--contrastive", "-0.5"], r"contrastive must not be negative, but is -0\.5"),
    "negative size": (["--sizes", "-4"], r"sizes must be .*such as 256,256"),
    "choice": (["--softmax", "sometimes"], r"softmax must be one of batch, full, not 'sometimes'"),
    "device": (["--device", "cuda:77"], r"no device 'cuda:77' on this machine; there are: cpu"),
    "no such device": (["--device", "abacus"], r"no device 'abacus' on this machine; there are: cpu"),
    "backbone": (["--backbone", "nowhere/to-be-found"], r"cannot load the model 'nowhere/to-be-found' .*'bundled'"),
    "recipe": (["--config", "nowhere.toml"], r"nowhere\.toml"),
    "unknown flag": (["--size", "4"], r"No such option.*--size.*lmindexer learn --help"),
    "a value that is missing": (["--seed"], r"--seed.* requires an argument; see lmindexer .*--help"),
}


STEPS = (
    r"(reading .*|[\d,]+ documents read|loading the model .*|tokenising .*|sizes .*|note: .*)\n"  # what was done before
)


def is_refused(answer: Answer, pattern: str) -> bool:
    """One line, of one sentence, that says what is wrong, behind those of what was done; and no trace of Python."""
    assert answer.code == 2
    assert answer.out == ""
    refusal = re.fullmatch(rf"(?:{STEPS})*(lmindexer: [^\n]+)\n", answer.err)
    assert refusal, answer.err
    assert not re.search(r"\.\s+[A-Z]", refusal[2].replace("e.g.", "")), "one sentence"
    assert re.search(pattern, refusal[2]), answer.err
    return True


@pytest.fixture
def items(tmp_path: Path) -> Path:
    path = tmp_path / "items.jsonl"
    path.write_text(GOOD)
    return path


@pytest.fixture(scope="module")
def finished(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    items = write_items(corpus, folder / "items.jsonl")
    learned(items, "--out", folder / "run", "--backbone", checkpoints["t5"], "--seed", 3)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to be spoiled."""
    return Path(shutil.copytree(finished / "run", tmp_path / "run"))


@pytest.mark.parametrize("fault", FILES)
def test_a_bad_file_is_refused(fault: str, items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    content, pattern = FILES[fault]
    items.write_bytes(content if isinstance(content, bytes) else content.encode())
    answer = lmindexer("learn", items, "--out", tmp_path / "new", *SMALL, "--sizes", 2, "--backbone", checkpoints["t5"])
    assert is_refused(answer, pattern)
    assert entries(tmp_path) == ["items.jsonl"]


@pytest.mark.parametrize("fault", FLAGS)
def test_a_bad_flag_is_refused(fault: str, items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    flags, pattern = FLAGS[fault]
    backbone = [] if "--backbone" in flags else ["--backbone", checkpoints["t5"]]
    answer = lmindexer("learn", items, "--out", tmp_path / "new", *SMALL, *backbone, *flags)
    assert is_refused(answer, pattern)
    assert entries(tmp_path) == ["items.jsonl"]


@pytest.mark.parametrize("verb", ["learn", "index"])
def test_a_missing_file_is_named(verb: str, run: Path, tmp_path: Path):
    arguments = (
        ("learn", "nowhere.jsonl", "--out", tmp_path / "new") if verb == "learn" else (verb, run, "nowhere.jsonl")
    )
    assert is_refused(lmindexer(*arguments), r"nowhere\.jsonl does not exist; check the path")


def test_an_unknown_key_of_a_recipe_names_the_near_one(items: Path, tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("epoch = 3\n")
    answer = lmindexer("learn", items, "--config", recipe, "--out", tmp_path / "new")
    assert is_refused(answer, r"recipe\.toml: unknown key 'epoch'; did you mean 'epochs'\?")


def test_a_backbone_that_cannot_be_cut_leaves_no_run(items: Path, checkpoints: dict[str, Path], tmp_path: Path):
    flags = ("--backbone", checkpoints["distilbert"], "--encoder", "top", "--quiet")
    answer = lmindexer("learn", items, "--out", tmp_path / "new", *SMALL, *flags)
    assert is_refused(answer, r"--encoder frozen or full")
    assert entries(tmp_path) == ["items.jsonl"]


@pytest.mark.parametrize("verb", ["learn", "demo"])
def test_an_existing_run_is_not_overwritten(verb: str, run: Path, items: Path):
    before = entries(run)
    files = [items] if verb == "learn" else []
    assert is_refused(lmindexer(verb, *files, "--out", run), r"run exists already; go on with --resume, or choose")
    assert entries(run) == before


def test_a_folder_of_other_things_is_not_overwritten(items: Path):
    for resume in ([], ["--resume"]):
        answer = lmindexer("learn", items, "--out", items.parent, *resume)
        assert is_refused(answer, r"exists already and is not a run folder; choose another --out")
    assert entries(items.parent) == ["items.jsonl"]


@pytest.mark.parametrize("verb", ["index", "inspect", "export"])
def test_what_is_no_finished_run_is_refused(verb: str, run: Path, items: Path, tmp_path: Path):
    files = [items] if verb == "index" else []
    assert is_refused(lmindexer(verb, tmp_path / "none", *files), r"no run folder .*none; .*lmindexer learn")
    assert is_refused(lmindexer(verb, items, *files), r"items\.jsonl is not a run folder: it has no run\.json")
    for change, pattern in (
        ({"state": "learning"}, rf"run is not finished; go on with: lmindexer learn FILES --resume --out {run}"),
        ({"format": 99}, r"run was written by .* in run format 99, and this version reads formats 1 and 2; use"),
    ):
        facts = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(facts | change))
        assert is_refused(lmindexer(verb, run, *files), pattern)
    (run / "run.json").write_text('{"format": ')
    assert is_refused(lmindexer(verb, run, *files), r"run\.json is damaged .*learn the run anew")


@pytest.mark.parametrize("name", ["documents.parquet", "ids.parquet", "report.json"])
def test_an_incomplete_run_is_named(name: str, run: Path):
    (run / name).write_bytes(b"not this")
    assert is_refused(lmindexer("inspect", run), rf"{name} is ")
    (run / name).unlink()
    assert is_refused(lmindexer("inspect", run), re.escape(name))


def test_resume_with_another_corpus_is_refused(run: Path, items: Path):
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(facts | {"state": "learning"}))
    before = entries(run)
    answer = lmindexer("learn", items, "--out", run, "--resume")
    assert is_refused(answer, r"run was learning another corpus; resume with the same files and columns")
    assert entries(run) == before


@pytest.mark.parametrize("how", ["flag", "recipe"])
def test_resume_with_other_settings_is_refused(how: str, run: Path, finished: Path, tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("settle-epochs = 7\n")
    flags = ["--settle-epochs", 7] if how == "flag" else ["--config", recipe]
    answer = lmindexer("learn", finished / "items.jsonl", "--out", run, "--resume", "--seed", 3, *flags)
    assert is_refused(answer, r"run was begun with --settle-epochs 1, not 7; resume without changing it, or choose")


@pytest.mark.parametrize("verb", ["index", "export"])
def test_an_out_that_cannot_be_is_refused(verb: str, run: Path, items: Path, tmp_path: Path):
    files = [items] if verb == "index" else []
    below_a_file = items / "ids.jsonl"
    assert is_refused(lmindexer(verb, run, *files, "--out", below_a_file), r"cannot make the folder of --out .*another")
    (folder := tmp_path / "ids.jsonl").mkdir()
    assert is_refused(lmindexer(verb, run, *files, "--out", folder), r"ids\.jsonl is a folder; name a file in it")


def test_an_out_of_no_known_kind_is_refused(run: Path, items: Path):
    answer = lmindexer("index", run, items, "--out", "ids.xml")
    assert is_refused(answer, r"ids\.xml; end it in \.jsonl, \.csv or \.parquet")
    assert is_refused(lmindexer("export", run, "--format", "csv"), r"--format csv .*--out")
    assert is_refused(lmindexer("export", run, "--format", "xml"), r"'xml' is not one of .*lmindexer export --help")


def test_a_run_folder_that_cannot_be_made_is_refused(items: Path, checkpoints: dict[str, Path]):
    answer = lmindexer("learn", items, "--out", items / "run", *SMALL, "--backbone", checkpoints["t5"])
    assert is_refused(answer, r"cannot make the run folder .*items\.jsonl/run .*choose another --out")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A disk on which so many more files can be written; folders cost nothing."""
    room: dict[str, float] = {"files": 1e9}
    fsync = os.fsync

    def limited(descriptor: int) -> None:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            room["files"] -= 1
        if room["files"] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", limited)
    return room


@pytest.mark.parametrize("files", [0, 1])
def test_no_space_for_a_new_run_leaves_none(
    files: int, disk: dict[str, float], items: Path, checkpoints: dict[str, Path], tmp_path: Path
):
    disk["files"] = files
    answer = lmindexer("learn", items, "--out", tmp_path / "new", *SMALL, "--backbone", checkpoints["t5"], "--quiet")
    assert is_refused(answer, r"no space left on .*free some and run again")
    assert entries(tmp_path) == ["items.jsonl"]


@pytest.mark.parametrize("files", [2, 5, 9, 14, 17])
def test_no_space_in_the_middle_is_made_good_by_resume(
    files: int, disk: dict[str, float], finished: Path, checkpoints: dict[str, Path], tmp_path: Path
):
    learn = ("learn", finished / "items.jsonl", "--out", tmp_path / "new", "--quiet")
    disk["files"] = files
    answer = lmindexer(*learn, *SMALL, "--seed", 3, "--backbone", checkpoints["t5"])
    assert is_refused(answer, r"no space left on .*new; free some and run again")
    assert not [name for name in entries(tmp_path / "new") if name.startswith(".") and name != ".lock"]
    disk["files"] = 1e9
    assert lmindexer(*learn, "--resume").code == 0
    assert (tmp_path / "new" / "ids.jsonl").read_bytes() == (finished / "run" / "ids.jsonl").read_bytes()


@pytest.mark.parametrize("verb", ["index", "export"])
def test_no_space_for_ids_leaves_no_file(verb: str, disk: dict[str, float], run: Path, items: Path, tmp_path: Path):
    disk["files"] = 0
    files = [items] if verb == "index" else []
    (out := tmp_path / "out").mkdir()
    assert is_refused(lmindexer(verb, run, *files, "--out", out / "ids.jsonl"), r"no space left on .*out; free some")
    assert entries(out) == []


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch, items: Path, tmp_path: Path):
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Trainer, "run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        lmindexer("learn", items, "--out", tmp_path / "new", *SMALL)
