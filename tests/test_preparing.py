"""The verb `prepare`: every set by its name, and the other verbs read what it wrote."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from command_line import Answer, entries, learned, lmindexer
from lmindexer.corpus.files import find_files
from lmindexer.prepare.addresses import NAMED, Address
from lmindexer.prepare.registry import SETS
from raw_sets import MAKERS, put, reviews, write_amazon, write_ml_latest

TEACH = ("--epochs", 1, "--warmup-epochs", 1, "--batch-size", 32, "--device", "cpu", "--precision", "fp32", "--quiet")
SMALLER = {"msmarco": ("--passages", 20), "trec-dl": ("--passages", 20)}


def test_every_set_has_a_tiny_one_to_be_tested_on():
    assert MAKERS.keys() == SETS.keys()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


@pytest.mark.parametrize("kind", SETS)
def test_every_set_says_what_it_is_made_of(kind: str, raw: Path, tmp_path: Path):
    MAKERS[kind](raw)
    before = entries(raw)
    answer = lmindexer("prepare", kind, raw, "--out", tmp_path / "out", *SMALLER.get(kind, ()))
    assert answer.code == 0, answer.err
    manifest = json.loads((tmp_path / "out" / "prepared.json").read_text())
    assert manifest["set"] == kind
    for source in manifest["sources"]:
        content = Path(source["file"]).read_bytes()
        assert (source["bytes"], source["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    for count in manifest["counts"]:
        assert f"| {count['what']} | {count['ours']:,} |" in answer.out
    assert all(rule in answer.out for rule in manifest["rules"])
    assert all(note in answer.err for note in manifest["notes"])
    assert all(f"  {command}" in answer.out and str(tmp_path / "out") in "".join(manifest["next"])
               for command in manifest["next"])  # fmt: skip
    assert entries(raw) == before, "the raw files stay as they are"
    assert len(find_files(tmp_path / "out")) <= 2, "prepared.json is no document"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]


@pytest.mark.parametrize("kind", SETS)
def test_the_same_files_give_the_same_bytes(kind: str, raw: Path, tmp_path: Path):
    MAKERS[kind](raw)
    for out in ("one", "two"):
        assert lmindexer("prepare", kind, raw, "--out", tmp_path / out, *SMALLER.get(kind, ())).code == 0
    one, two = tmp_path / "one", tmp_path / "two"
    files = [path for path in one.rglob("*") if path.is_file() and path.name != "prepared.json"]
    assert all(path.read_bytes() == (two / path.relative_to(one)).read_bytes() for path in files)


def test_a_folder_that_is_there_is_not_touched(raw: Path, tmp_path: Path):
    write_amazon(raw)
    put(tmp_path / "out" / "mine.txt", "mine")
    answer = lmindexer("prepare", "amazon", raw, "--out", tmp_path / "out")
    assert (answer.code, entries(tmp_path / "out")) == (2, ["mine.txt"])
    assert "is there already; name another folder, or remove it" in answer.err


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("amazon", "--passages", 3), "amazon takes no --passages, only --name, --core, --split-by, --cuts, --ties"),
        (("nq320k", "--seed", 3), "nq320k takes no --seed, only no options; leave it out"),
        (("amazon", "--cuts", "0.8"), "--cuts are two numbers with a comma between them"),
        (("amazon", "--split-by", "time", "--cuts", "0.9,0.8"), "--cuts are two rising shares between 0 and 1"),
        (("recbole", "--download"), "recbole has no public address"),
    ],
)
def test_options_that_do_not_count_are_refused(words: tuple[object, ...], cause: str, raw: Path, tmp_path: Path):
    MAKERS[str(words[0])](raw)
    answer = lmindexer("prepare", words[0], raw, "--out", tmp_path / "out", *words[1:])
    assert answer.code == 2
    assert cause in answer.err
    assert not (tmp_path / "out").exists()


def test_quiet_prints_notes_alone(raw: Path, tmp_path: Path):
    answer = lmindexer("prepare", "amazon", write_amazon(raw), "--out", tmp_path / "out", "--quiet")
    assert (answer.code, answer.out) == (0, "")
    assert [line.partition(":")[0] for line in answer.err.splitlines()] == ["note"]


def test_what_was_fetched_is_prepared(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The addresses are those of files on this machine."""
    write_amazon(tmp_path / "web")
    files = sorted((tmp_path / "web").iterdir())
    md5 = hashlib.md5(files[0].read_bytes()).hexdigest()
    addresses = (Address(files[0].as_uri(), md5), Address(files[1].as_uri()))
    monkeypatch.setitem(NAMED, "amazon", {"beauty": addresses})
    words = ("prepare", "amazon", raw, "--name", "beauty", "--download", "--out")
    answer = lmindexer(*words, tmp_path / "out")
    assert answer.code == 0, answer.err
    assert f"| {files[0].as_uri()} | {files[0].stat().st_size:,} | {md5} |" in answer.out
    sha256 = hashlib.sha256(files[1].read_bytes()).hexdigest()
    assert f"{files[1].name}: SHA-256 {sha256}" in answer.err
    shutil.rmtree(tmp_path / "web")
    (raw / files[1].name).write_bytes(b"changed")
    answer = lmindexer(*words, tmp_path / "again", "--quiet")
    assert answer.code == 2
    assert not (tmp_path / "again").exists()


# The other verbs


@pytest.fixture
def backbone(checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    """A tiny model to learn with; the working folder is the test's."""
    monkeypatch.chdir(tmp_path)
    return ("--backbone", checkpoints["bert"], "--quiet")


def methods_in(answer: Answer) -> dict[str, dict[str, object]]:
    """What `evaluate` says of each method."""
    assert answer.code == 0, answer.err
    tables = json.loads(answer.out)["tables"]
    methods: dict[str, dict[str, object]] = next(iter(tables.values()))["methods"]
    return methods


def counted(what: str) -> int:
    counts = json.loads(Path("data/prepared.json").read_text())["counts"]
    return int({count["what"]: count["ours"] for count in counts}[what])


def test_a_recommender_is_learned_taught_and_judged(raw: Path, backbone: tuple[object, ...]):
    assert lmindexer("prepare", "amazon", write_amazon(raw, reviews(users=20)), "--out", "data").code == 0
    text = ("--id", "id", "--text", "title,brand,description,features", "--label", "categories", "--keep-empty")
    learned("data/items.jsonl.gz", *text, *backbone, "--out", "beauty")
    assert lmindexer("finetune", "beauty", "data/sequences.txt.gz", "--out", "taught", *TEACH).code == 0
    answer = lmindexer("evaluate", "taught", "--method", "popular", "--method", "generative", "--format", "json")
    assert methods_in(answer)["generative"]["queries"] == counted("test items") == 20


def test_a_split_by_time_is_taught_and_judged(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    cuts = ("--split-by", "time", "--cuts", "0.5,0.7")
    assert lmindexer("prepare", "movielens", write_ml_latest(raw), "--out", "data", *cuts).code == 0
    documents = ("data/items.jsonl.gz", "--text", "title", "--indexer", "none", "--out", "movies", "--quiet")
    assert lmindexer("learn", *documents).code == 0
    words = ("--method", "sasrec", "--epochs", 1, "--device", "cpu", "--quiet")
    taught = lmindexer("finetune", "movies", "data/sequences.jsonl.gz", *words, "--out", "taught")
    assert taught.code == 0, taught.err
    answer = lmindexer("evaluate", "taught", "--method", "sasrec", "--method", "popular", "--format", "json")
    queries = {name: method["queries"] for name, method in methods_in(answer).items()}
    assert queries == dict.fromkeys(("sasrec", "popular"), counted("test items"))


@pytest.mark.parametrize("kind", ["esci", "trec-dl"])
def test_a_searcher_is_learned_taught_and_judged(kind: str, raw: Path, backbone: tuple[object, ...]):
    MAKERS[kind](raw)
    assert lmindexer("prepare", kind, raw, "--out", "data", *SMALLER.get(kind, ())).code == 0
    learned("data/corpus.jsonl.gz", *backbone, "--out", "run")
    taught = lmindexer("finetune", "run", "--queries", "data", "--out", "taught", *TEACH)
    assert taught.code == 0, taught.err
    level = ("--relevance-level", 2) if kind == "trec-dl" else ()
    words = ("--queries", "data", "--method", "bm25", "--method", "generative", "--metrics", "recall@5 ndcg@5", *level)
    answer = lmindexer("evaluate", "taught", *words, "--format", "json")
    assert methods_in(answer)["generative"]["queries"] == counted("test queries")
