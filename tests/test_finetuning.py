"""lmindexer finetune, and search, evaluate and compare on what it made; whom they send away."""

import io
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from command_line import Answer, entries, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import LONGEST
from lmindexer.runs import Run
from lmindexer.runs.contents import listing
from small_tasks import learn, write_jsonl, write_queries, write_sequences

FAST = ("--epochs", 1, "--warmup-epochs", 0, "--batch-size", 64, "--device", "cpu",
        "--precision", "fp32", "--quiet")  # fmt: skip


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, what to teach it, and three runs that were taught: two to search, one to recommend."""
    folder = tmp_path_factory.mktemp("home")
    write_queries(folder / "queries.jsonl")
    write_sequences(folder / "taken.txt", corpus)
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    by_ids = ("--queries", folder / "queries.jsonl", "--no-rescore")
    finetuned(folder / "run", *by_ids, "--out", folder / "search")
    finetuned(folder / "run", *by_ids, "--out", folder / "other", "--seed", 5)
    finetuned(folder / "run", folder / "taken.txt", "--out", folder / "recommend", "--items", "ids")
    return folder


def finetuned(*arguments: object) -> Answer:
    answer = lmindexer("finetune", *arguments, *FAST)
    assert answer.code == 0, answer.err
    return answer


def is_refused(answer: Answer, told: str) -> bool:
    """One sentence that names the thing, without a trace."""
    assert (answer.code, answer.out) == (2, ""), answer.err
    assert re.fullmatch(r"lmindexer: [^\n]+\n", answer.err), answer.err
    assert re.search(told, answer.err), answer.err
    return True


def ids_of(answer: Answer) -> list[str]:
    assert answer.code == 0, answer.err
    return [json.loads(line)["id"] for line in answer.out.splitlines()]


def test_it_tells_what_it_chose_and_what_is_next(home: Path, tmp_path: Path):
    command = ("finetune", home / "run", home / "taken.txt", "--learning-rate", "1e-4,1e-2", *FAST)
    quiet = lmindexer(*command, "--out", tmp_path / "quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    answer = lmindexer(*command[:-1], "--out", tmp_path / "new")
    chosen = json.loads((tmp_path / "new" / "finetune.json").read_text())
    assert "pairs to learn from" in answer.err
    assert answer.out.splitlines() == [
        f"dev recall@10 {chosen['best']:.4f} at epoch 1, learning rate {chosen['best_rate']:g}",
        f"Run folder: {tmp_path / 'new'}",
        f"Next: lmindexer search {tmp_path / 'new'} --history id,id   lmindexer evaluate {tmp_path / 'new'}",
    ]


def test_what_was_left_out_is_told(here: Path):
    pairs = [{"query": f"pan {n}", "item_ids": [f"doc{n}", "gone"], "split": "train"} for n in range(9)]
    write_jsonl(here / "some.jsonl", [*pairs, {"query": "oven", "item_ids": ["gone, too"], "split": "train"}])
    loud = [each for each in FAST if each != "--quiet"]
    answer = lmindexer("finetune", "run", "--queries", "some.jsonl", "--out", "new", *loud)
    assert answer.code == 0, answer.err
    assert "note: 10 of 19 relevant documents are not in the corpus and are left out (the first: 'gone')" in answer.err
    assert "note: 1 of 10 queries have no relevant document in the corpus" in answer.err
    assert "note: there are no dev queries, so 1 of the training queries are kept apart" in answer.err
    assert "8 pairs to learn from; cpu" in answer.err


def test_a_recipe_need_not_name_the_task(here: Path):
    (here / "recipe.toml").write_text('items = "text"\nhistory-layers = 2\n')
    finetuned("run", "taken.txt", "--config", "recipe.toml", "--out", "new")
    assert 'task = "recommend"\nitems = "text"' in (here / "new" / "finetune.toml").read_text()


def test_the_new_run_has_all_that_the_run_had(home: Path):
    assert set(entries(home / "run")) - {"log.jsonl"} <= set(entries(home / "search"))
    for name in ("ids.parquet", "documents.parquet", "report.json"):
        assert (home / "run" / name).read_bytes() == (home / "search" / name).read_bytes()
    assert lmindexer("inspect", home / "recommend").code == 0


def test_search_asks_the_fine_tuned_model(home: Path):
    answer = lmindexer("search", home / "search", "old", "rose", "-k", 3, "--format", "jsonl")
    assert len(set(ids_of(answer))) == 3
    assert answer.err == "", "no note: it was fine-tuned for this"
    hybrid = ("--method", "hybrid", "--fusion", "score", "--weights", "1,0.3", "--partner", "bm25")
    assert (
        len(ids_of(lmindexer("search", home / "search", "rose", *hybrid, "--renormalise", "--format", "jsonl"))) == 10
    )


def test_a_history_is_answered(home: Path, corpus: Corpus, tmp_path: Path):
    asked = ("search", home / "recommend", "--history", "doc3, doc70,doc3")
    found = ids_of(lmindexer(*asked, "--format", "jsonl"))
    assert len(set(found) & set(corpus.doc_ids)) == 10
    (tmp_path / "some.txt").write_text("doc1\ndoc6\n")
    assert sorted(ids_of(lmindexer(*asked, "--only-ids", tmp_path / "some.txt", "-k", 2, "--format", "jsonl"))) == [
        "doc1",
        "doc6",
    ]
    labelled = ids_of(lmindexer(*asked, "--only", "garden", "-k", 5, "--format", "jsonl"))
    assert {corpus[corpus.row_of[doc_id]].label[0] for doc_id in labelled} == {"garden"}
    without = ids_of(lmindexer(*asked, "--format", "jsonl", "-k", 78))
    assert set(without) == set(corpus.doc_ids) - {"doc3", "doc70"}
    assert set(ids_of(lmindexer(*asked, "--format", "jsonl", "--repeats", "-k", 80))) == set(corpus.doc_ids)
    assert lmindexer(*asked).err == lmindexer(*asked, "--repeats").err == ""
    first = json.loads(lmindexer(*asked, "--format", "jsonl", "-k", 1).out)
    assert (first["history"], first["rank"]) == (["doc3", "doc70", "doc3"], 1)
    for other in (("dense",), ("hybrid", "--weights", "1,2")):
        assert len(ids_of(lmindexer(*asked, "--format", "jsonl", "--method", *other))) == 10
    words = lmindexer("search", home / "recommend", "old rose", "-k", 1)
    assert (words.code, len(words.out.splitlines())) == (0, 1)
    assert words.err == "note: this run was taught to recommend, not to search; --history asks it so\n"


def typed(text: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(text), "ascii")


def test_questions_are_read_from_the_input(home: Path, monkeypatch: pytest.MonkeyPatch):
    asked = {
        "search": (("rose",), ("old pan",)),
        "recommend": (("--history", "doc3,doc70"), ("--history", "doc9")),
    }
    for run, questions in asked.items():
        alone = [ids_of(lmindexer("search", home / run, *each, "-k", 3, "--format", "jsonl")) for each in questions]
        lines = [each[-1] for each in questions]
        monkeypatch.setattr("sys.stdin", typed(f"\ufeff{lines[0]}\r\n  {lines[1]} \n".encode()))
        answer = lmindexer("search", home / run, *questions[0][:-1], "-", "-k", 3, "--format", "jsonl")
        assert ids_of(answer) == alone[0] + alone[1]
        name = "query" if run == "search" else "history"
        shown = lines if run == "search" else [line.split(",") for line in lines]
        assert [json.loads(line)[name] for line in answer.out.splitlines()] == [shown[0]] * 3 + [shown[1]] * 3


BAD_LINES = {
    "search": (
        (b"rose", b"caf\xe9", b"", b"old pan"),
        ("it is not UTF-8; save the questions in that encoding", "it is empty; write one question a line"),
    ),
    "recommend": (
        (b"doc3,doc70", b"doc9,nobody", b'"doc9', b",", b"x" * 5000, b"doc9"),
        (
            "'nobody' of a history is none of the 80",
            "is no list of ids",
            "a history is empty; name at least one",
            "xxx",
        ),
    ),
}


@pytest.mark.parametrize("run", BAD_LINES)
def test_a_bad_line_of_the_input_is_named_and_the_others_are_answered(
    run: str, home: Path, monkeypatch: pytest.MonkeyPatch
):
    lines, faults = BAD_LINES[run]
    question = ["--history", "-"] if run == "recommend" else ["-"]

    def answered(given: Sequence[bytes], *more: object) -> Answer:
        monkeypatch.setattr("sys.stdin", typed(b"\n".join(given) + b"\n"))
        return lmindexer("search", home / run, *question, "-k", 3, *more)

    expected = answered([lines[0], lines[-1]], "--format", "jsonl")
    assert (expected.code, expected.out.count("\n")) == (0, 6)
    answer = answered(lines, "--format", "jsonl")
    assert (answer.code, answer.out) == (1, expected.out), "in order, with the question in each line"
    *told, last = answer.err.splitlines()
    assert last == f"lmindexer: {len(faults)} of {len(lines)} lines could not be answered"
    for number, (line, fault) in enumerate(zip(told, faults, strict=True), 2):
        assert line.startswith(f"lmindexer: line {number}: ")
        assert fault in line
        assert len(line) <= LONGEST + len("lmindexer: ")
    found = [3 if line in (lines[0], lines[-1]) else 0 for line in lines]
    blank = [n for n, line in enumerate(answered(lines).out.splitlines()) if not line]
    assert np.diff([-1, *blank]).tolist() == [n + 1 for n in found], "an empty line behind the answer of each"


@pytest.mark.parametrize("question", [("recommend", "--history", "doc3"), ("search", "rose")])
def test_more_than_there_are_is_all_and_said(home: Path, corpus: Corpus, question: tuple[str, ...]):
    answer = lmindexer("search", home / question[0], *question[1:], "-k", 500, "--format", "jsonl")
    taken = {"doc3"} if question[0] == "recommend" else set()
    assert set(ids_of(answer)) == set(corpus.doc_ids) - taken
    assert answer.err == f"note: there are only {80 - len(taken)} documents to find, not 500\n"


def test_documents_come_and_go(here: Path, corpus: Corpus):
    for name, question in (("recommend", ("--history", "doc3,new1", "--repeats")), ("search", ("rose",))):
        items = [Document(f"new{n}", corpus[0].text) for n in range(3)]
        assert lmindexer("add", name, write_items(Corpus.from_documents(items), here / "new.jsonl")).code == 0
        assert lmindexer("remove", name, "doc3" if name == "search" else "doc4").code == 0
        found = ids_of(lmindexer("search", name, *question, "-k", 82, "--format", "jsonl"))
        assert {"new0", "new1", "new2"} < set(found)
        assert len(found) == 82
        answer = lmindexer("evaluate", name, "--metrics", "recall@5")
        assert answer.code == 0, answer.err
        assert "are not in the corpus" in answer.out


def test_evaluate_asks_the_runs_own_test_split_and_compare_shows_p(here: Path):
    for name in ("search", "other"):
        answer = lmindexer("evaluate", name)
        assert answer.code == 0, answer.err
        assert "| recall@1 |" in answer.out
        assert "| mrr@10 |" in answer.out
        assert (here / name / "results-search-test.parquet").exists()
    assert lmindexer("evaluate", "other", "--beams", 20, "--novelty", 2).code == 0, "as by default"
    compared = lmindexer("compare", "search", "other", "--resamples", 0)
    assert compared.code == 0, compared.err
    assert "was not asked in the same way" not in compared.out
    assert "**generative** (search, split test)" in compared.out
    assert re.search(r"\| recall@10 \| \d\.\d+ \| \d\.\d+ p=\d\.\d+ \|", compared.out), compared.out
    told = json.loads(lmindexer("compare", "search", "other", "--resamples", 0, "--format", "json").out)
    (table,) = told["evaluations"]["tables"]
    assert table["runs"]["search"]["queries"] == 8, "the test split, no other"
    dev = lmindexer("evaluate", "search", "--split", "dev", "--metrics", "recall@10", "--format", "json")
    found = json.loads(dev.out)["tables"]["all"]["methods"]["generative"]["metrics"]["recall@10"]["mean"]
    assert found == pytest.approx(json.loads((here / "search" / "finetune.json").read_text())["best"])


def test_evaluate_asks_what_users_took_last(here: Path):
    answer = lmindexer("evaluate", "recommend", "--method", "popular", "--method", "generative")
    assert answer.code == 0, answer.err
    assert "As recommended: 80 users" in answer.out
    assert re.search(r"\| recall@10 \| \**\d\.\d+[^|]* \| \**\d\.\d+[^|]*p[=<]\d\.\d+[^|]* \|", answer.out), answer.out
    assert "asking popular  80/80 users" in answer.err
    finetuned("run", "taken.txt", "--out", "again", "--items", "ids", "--seed", 7)
    assert lmindexer("evaluate", "again").code == 0
    compared = lmindexer("compare", "recommend", "again", "--resamples", 0).out
    assert "**generative** (recommend, split test)" in compared
    assert "**generative** (recommend-masked, split test)" in compared
    assert len(re.findall(r" p=\d\.\d+ \|", compared)) >= 8, "four metrics of either"


def test_a_run_of_before_calibration_says_that_later_documents_are_not_favoured(here: Path, corpus: Corpus):
    told = "note: an earlier version fine-tuned this run, so documents that came later are not favoured; give --novelty"
    later = write_items(Corpus.from_documents([Document("new", corpus[0].text)]), here / "new.jsonl")
    asked = (("search", "search", "rose"), ("search", "recommend", "--history", "doc3"), ("evaluate", "search"))
    for name in ("search", "recommend"):
        assert lmindexer("add", name, later).code == 0
    assert not any(told in lmindexer(*each).err for each in asked), "each has a value of its own"
    for name in ("search", "recommend"):
        run = Run.open(here / name)
        facts = run.read_json("finetune.json")
        del facts["novelty"]
        run.write_json("finetune.json", facts)
        run.update(files={**run.files} | listing(run.path))
    for each in asked:
        assert lmindexer(*each).err.count(told) == 1, each
        assert told not in lmindexer(*each, "--novelty", 1).err
    assert told not in lmindexer("search", "search", "rose", "--method", "bm25").err
    assert told not in lmindexer("search", "other", "rose").err, "nothing came later"


TRAIN = '{"query": "pan", "item_ids": ["doc1"], "split": "train"}\n'
FILES = {
    "empty query": TRAIN + '{"query": " ", "item_ids": ["doc1"], "split": "train"}\n',
    "no train": TRAIN.replace("train", "test"),
    "no split": TRAIN + '{"query": "oven", "item_ids": ["doc1"]}\n',
    "unknown": TRAIN.replace("doc1", "gone"),
    "one": TRAIN,
}
Q = ("--queries", "queries.jsonl")
BAD_FINETUNE = {
    "no run": (("nowhere", *Q), "there is no run folder nowhere"),
    "not a run": (("queries.jsonl", *Q), "is not a run folder: it has no run.json"),
    "not finished": (("learning", *Q), "learning is not finished; go on with: lmindexer learn"),
    "fine-tuned": (("search", *Q), "search is fine-tuned already; name the run that it was made from"),
    "damaged": (("damaged", *Q), r"documents\.parquet is (damaged|missing)"),
    "nothing to learn": (("run",), "learns from --queries, --pseudo, or both; name at least one"),
    "both": (("run", "taken.txt", *Q), "the task recommend learns from SEQUENCES alone"),
    "no file": (("run", "nowhere.txt"), r"nowhere\.txt is no file"),
    "no known item": (("run", "strangers.txt"), "no item of strangers.txt is in the corpus: .*'x1'.*'doc0'"),
    "short": (("run", "short.txt"), "no user took enough items|no user took 3 items"),
    "no queries": (("run", "--queries", "nowhere.jsonl"), r"nowhere\.jsonl does not exist"),
    "empty query": (("run", "--queries", "empty query.jsonl"), "line 2: the query is empty"),
    "no train": (("run", "--queries", "no train.jsonl"), "has no split 'train' to learn from, only 'test'"),
    "half split": (("run", "--queries", "no split.jsonl"), "some queries have no 'split'"),
    "unknown documents": (("run", "--queries", "unknown.jsonl"), r"1 of 1 relevant documents .*\(the first: 'gone'\)"),
    "one query": (("run", "--queries", "one.jsonl"), "there is only one training query"),
    "no source": (("run", *Q, "--pseudo", "pseudo.jsonl", "--sources", "titel"), "no queries of the source 'titel'"),
    "dev metric": (("run", *Q, "--dev-metric", "accuracy@3"), "'accuracy@3' is no metric; the known ones are"),
    "a choice": (("run", "taken.txt", "--items", "words"), "items must be one of tokens, text, ids, both"),
    "no number": (("run", *Q, "--learning-rate", "fast"), "learning_rate must be a list of float"),
    "a device": (("run", *Q, "--device", "abacus"), "no device 'abacus' on this machine"),
    "a recipe": (("run", *Q, "--config", "nowhere.toml"), r"no recipe nowhere\.toml"),
    "samples": (("run", "taken.txt", "--samples", -1), "samples must not be negative"),
}  # fmt: skip


@pytest.fixture(scope="module")
def spoiled(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Beside all that is good: files and runs that are not."""
    folder = Path(shutil.copytree(home, tmp_path_factory.mktemp("spoiled") / "here"))
    for name, text in FILES.items():
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "strangers.txt").write_text("u1 x1 x2 x3 x4\nu2 x2 x3 x4 x5\n")
    (folder / "short.txt").write_text("u1 doc1 doc2\n")
    write_jsonl(folder / "pseudo.jsonl", [{"query": "pan", "item_ids": ["doc1"], "source": "title"}])
    (folder / "words.txt").write_text("rose\n")
    (folder / "one.txt").write_text("doc1\n")
    for name, change in (("learning", {"state": "learning"}), ("damaged", {})):
        shutil.copytree(folder / "run", folder / name)
        facts = json.loads((folder / name / "run.json").read_text())
        (folder / name / "run.json").write_text(json.dumps(facts | change))
    (folder / "damaged" / "documents.parquet").write_bytes(b"PAR1")
    return folder


@pytest.mark.parametrize("fault", BAD_FINETUNE)
def test_a_bad_finetune_is_refused_and_nothing_is_written(spoiled: Path, fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(spoiled)
    arguments, told = BAD_FINETUNE[fault]
    fast = [each for each in FAST if "--device" not in arguments or each not in ("--device", "cpu")]
    before = entries(spoiled)
    assert is_refused(lmindexer("finetune", *fast, *arguments, "--out", "new/run"), told)
    assert entries(spoiled) == before


HYBRID = ("--method", "hybrid")
BAD_QUESTIONS = {
    "unknown item": (("search", "recommend", "--history", "doc1,nobody"), "'nobody' of a history is none of the 80"),
    "empty history": (("search", "recommend", "--history", " , "), "a history is empty; name at least one document"),
    "not taught": (("search", "search", "--history", "doc1"), "was not taught to recommend by generated IDs but to se"),
    "not taught at all": (("search", "run", "--history", "doc1"), "or choose --method dense, which needs no teachi"),
    "history and words": (("search", "recommend", "pan", "--history", "doc1"), "either words to search for, or --hist"),
    "repeats of words": (("search", "search", "pan", "--repeats"), "--repeats finds also what is in a --history"),
    "neither": (("search", "recommend"), "either words to search for, or --history"),
    "nothing left": (
        ("search", "recommend", "--history", "doc1", "--only-ids", "one.txt"), "the history has all"
    ),
    "novelty of nothing": (("search", "run", "pan", "--novelty", "3"), "run was not fine-tuned to give IDs; leave"),
    "weights first": (("search", "run", "pan", *HYBRID, "--partner", "dense"), "which has no model to generate IDs"),
    "bm25 first": (
        ("evaluate", "recommend", "--method", "dense", "--method", "bm25"), "bm25 answers words, not histories; choose"
    ),
    "history by words": (
        ("search", "recommend", "--history", "doc1", "--method", "bm25"), "bm25 answers words, not histories"
    ),
    "empty query": (("search", "search", " "), "query 1 is empty"),
    "weights": (("search", "search", "pan", *HYBRID, "--weights", "1,x"), "--weights must be numbers such as 1,0.3"),
    "fusion of one": (
        ("search", "search", "pan", "--fusion", "rank"), "--fusion says how --method hybrid is asked; choose that or"
    ),
    "exact words": (
        ("evaluate", "search", "--method", "bm25", "--exact"), "--exact says how --method generative or hybrid"
    ),
    "three weights": (
        ("search", "search", "pan", *HYBRID, "--weights", "1,2,3"), "3 weights for 2 retrievers"
    ),
    "no weight": (("search", "search", "pan", *HYBRID, "--weights", "0,0"), "one above 0; change them"),
    "fusion": (("search", "search", "pan", "--fusion", "product"), "'product' is not one of 'rank', 'score'"),
    "beams": (("search", "search", "pan", "--beams", 0), "Invalid value for '--beams'"),
    "a split": (("evaluate", "search", "--split", "tset"), "no split 'tset', only 'dev', 'test', 'train'; name one"),
    "a held-out item": (("evaluate", "recommend", "--split", "train"), "splits of sequences are test and dev, not 'tr"),
    "no questions": (("evaluate", "run"), "run was not fine-tuned with any questions; name them with --queries or --s"),
    "popular": (("evaluate", "search", "--method", "popular"), "popular answers histories, not words; choose gener"),
    "bm25": (("evaluate", "recommend", "--method", "bm25"), "bm25 answers words, not histories; choose generativ"),
    "partner": (("evaluate", "recommend", *HYBRID, "--partner", "bm25"), "the partner of generated IDs is dense"),
    "not taught, many": (("evaluate", "search", "--sequences", "taken.txt"), "search was not taught to recommend"),
    "two kinds": (("evaluate", "search", *Q, "--sequences", "taken.txt"), "one is asked at a time"),
    "metrics": (("evaluate", "search", "--metrics", "recall"), "needs a rank"),
    "weights, many": (("evaluate", "search", *HYBRID, "--weights", "heavy"), "--weights must be numbers"),
    "no file": (("evaluate", "search", "--queries", "nowhere.jsonl"), r"nowhere\.jsonl does not exist"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_QUESTIONS)
def test_a_bad_question_is_refused_and_nothing_is_written(spoiled: Path, fault: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(spoiled)
    before = entries(spoiled)
    arguments, told = BAD_QUESTIONS[fault]
    assert is_refused(lmindexer(*arguments), told)
    assert entries(spoiled) == before


def test_an_out_that_is_there_is_not_overwritten(here: Path):
    before = entries(here)
    for out, told in (("search", "search exists already; go on with --resume"), (".", "is not a run folder; choose")):
        assert is_refused(lmindexer("finetune", "run", *Q, "--out", out, *FAST), told)
    assert is_refused(lmindexer("finetune", "run", *Q, "--out", "queries.jsonl/new", *FAST), "cannot make the run fold")
    assert entries(here) == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((*Q, "--epochs", 3), "search was begun with --epochs 1, not 3; resume without changing it, or choose another"),
        ((*Q, "--learning-rate", "1e-3,1e-2"), "was begun with --learning-rate .*; resume without changing it"),
        (("taken.txt",), "was begun with other settings|learns from SEQUENCES|learns from --queries"),
        (("--queries", "half.jsonl"), "search was begun with other data to learn from; resume with the same"),
    ],
)
def test_resume_with_something_else_is_refused(here: Path, arguments: tuple[object, ...], told: str):
    lines = (here / "queries.jsonl").read_text().splitlines(keepends=True)
    (here / "half.jsonl").write_text("".join(lines[::2]))
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    fast = [] if "--epochs" in arguments else FAST
    assert is_refused(lmindexer("finetune", "run", *arguments, *fast, "--out", "search", "--resume"), told)
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_stopped_one_names_the_way_to_go_on(here: Path):
    facts = json.loads((here / "search" / "run.json").read_text())
    (here / "search" / "run.json").write_text(json.dumps(facts | {"state": "fine-tuning"}))
    told = "the fine-tuning of search is not finished; go on with: lmindexer finetune .* --resume --out search"
    assert is_refused(lmindexer("search", "search", "pan"), told)
    assert is_refused(lmindexer("evaluate", "search"), told)
    assert lmindexer("search", "search", "pan", "--method", "bm25").code == 0
    assert lmindexer("finetune", "run", *Q, "--out", "search", "--resume", "--quiet").code == 0
    assert lmindexer("search", "search", "pan").code == 0


@pytest.mark.parametrize("name", ["retriever.safetensors", "finetune.toml"])
@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_damaged_run_is_named(here: Path, name: str, damage: str):
    (here / "search" / name).write_bytes(b"epochs = [")
    if damage == "missing":
        (here / "search" / name).unlink()
    told = f"{re.escape(name)} is {damage}.*lmindexer check search"
    assert is_refused(lmindexer("search", "search", "pan"), told)
    assert is_refused(lmindexer("evaluate", "search"), told)
