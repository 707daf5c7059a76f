"""A run's own test questions: with the ids the user gave, apart from what was learned, and none of them lost."""

import json
import re
import shutil
from pathlib import Path

import pytest

from command_line import Answer, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document
from small_tasks import learn, write_jsonl

FAST = ("--epochs", 1, "--warmup-epochs", 0, "--batch-size", 64, "--device", "cpu",
        "--precision", "fp32", "--encoder", "frozen")  # fmt: skip
NEW = [Document("new0", "a comet of ice"), Document("new1", "a harp of gold")]


def well(*arguments: object) -> Answer:
    answer = lmindexer(*arguments)
    assert answer.code == 0, answer.err
    return answer


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder, pseudo-queries, and a run that was taught both; what was said of it is in said.txt."""
    folder = tmp_path_factory.mktemp("home")
    texts = [f"{corpus[n].text} {n}" for n in range(12)]
    texts[6] = texts[0].upper()  # of test and train
    texts[8] = f" {texts[7]} "  # of test and test
    write_jsonl(folder / "queries.jsonl", [{"_id": f"Q-{n}", "text": text} for n, text in enumerate(texts)])
    (folder / "qrels").mkdir()
    for split, rows in (("train", range(6)), ("test", range(6, 12)), ("spare", range(3))):
        lines = [f"Q-{n}\t{'new0' if n == 11 else f'doc{n}'}\t1\n" for n in rows]
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    made = [("like a test query", texts[9]), ("other", "something else")]
    write_jsonl(folder / "pseudo.jsonl", [{"query": text, "item_ids": ["doc70"], "source": way} for way, text in made])
    learn(corpus, folder / "run", indexer="rq-kmeans", embeddings=str(checkpoints["bert"]))
    said = well("finetune", folder / "run", "--queries", folder, "--pseudo", folder / "pseudo.jsonl",
                "--out", folder / "search", *FAST)  # fmt: skip
    (folder / "said.txt").write_text(said.err)
    return folder


def test_what_was_left_out_is_told(home: Path):
    said = (home / "said.txt").read_text()
    for note in (
        "note: test: 1 of 6 queries of .* have the words of an earlier one and are joined with it",
        r"note: test: 1 of 6 relevant documents are not in the corpus and count as not found \(the first: 'new0'\)",
        "note: test: 1 of 5 queries have no relevant document in the corpus and count as 0",
        "note: the queries of the split 'spare' are passed over",
        "note: 1 of 6 training queries have the words of dev or test queries and are left out",
        "note: 1 of 2 pseudo-queries have the words of dev or test queries and are left out",
    ):
        assert re.search(note, said), note
    assert json.loads((home / "search" / "finetune.json").read_text())["pairs"] == 5 - 1 + 1
    kept = [json.loads(line) for line in (home / "search" / "queries.jsonl").read_text().splitlines()]
    assert {line["_id"] for line in kept if line["split"] == "test"} == {"Q-6", "Q-7", "Q-9", "Q-10", "Q-11"}


def test_its_trec_file_has_the_ids_of_the_users_judgements(here: Path):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    answer = well(
        "evaluate",
        "search",
        "--method",
        "generative",
        "--metrics",
        "recall@80",
        "--trec",
        "found.trec",
        "--format",
        "json",
    )
    with Path("found.trec").open() as run:
        found = pytrec_eval.parse_run(run)
    qrels: dict[str, dict[str, int]] = {}
    for line in Path("qrels/test.tsv").read_text().splitlines()[1:]:
        query_id, doc_id, grade = line.split("\t")
        qrels.setdefault(query_id, {})[doc_id] = int(grade)
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"recall.80"}).evaluate(found)
    assert {query_id: each["recall_80"] for query_id, each in theirs.items()} == {
        **{f"Q-{n}": 1.0 for n in range(6, 11)}, "Q-11": 0.0
    }  # fmt: skip
    ours = json.loads(answer.out)["tables"]["all"]["methods"]["generative"]
    assert ours["queries"] == 5, "two of the six are one"
    assert ours["metrics"]["recall@80"]["mean"] == pytest.approx(4 / 5)


def test_the_users_file_and_the_runs_own_ask_the_same(here: Path):
    shutil.copytree("search", "other")
    well("evaluate", "search", "--method", "generative", "--metrics", "recall@1")
    answer = well("evaluate", "other", "--method", "generative", "--queries", ".", "--metrics", "recall@1")
    assert "trained with" not in answer.out
    compared = well("compare", "search", "other", "--resamples", 0).out
    assert "other questions" not in compared
    assert "**generative** (search, split test)" in compared
    well("evaluate", "other", "--queries", ".", "--split", "train", "--metrics", "recall@1", "--out", "of-train.md")
    assert "of 6 queries have the words of queries that the run was trained with" in Path("of-train.md").read_text()


def test_queries_whose_document_comes_later_are_asked_then(here: Path):
    command = ("evaluate", "search", "--metrics", "recall@80")
    before = well(*command).out
    assert "0.8000" in before
    assert "Note: 1 of 5 queries have no relevant document in the corpus and count as 0 (the first: 'Q-11')" in before
    assert "Means of 4 queries" in well(*command, "--answerable").out
    well("add", "search", write_items(Corpus.from_documents(NEW), here / "new.jsonl"))
    after = well("evaluate", "search", "--metrics", "recall@82").out
    assert "| recall@82 | 1.0000" in after
    assert "Note: 1 of" not in after


def test_what_users_took_stays_parted_when_documents_leave(here: Path, corpus: Corpus):
    users = {f"u{n}": [f"doc{(7 * n + i) % 80}" for i in range(5)] for n in range(20)}
    Path("taken.txt").write_text("".join(f"{user} {' '.join(items)}\n" for user, items in users.items()))
    well("finetune", "run", "taken.txt", "--out", "recommend", *FAST, "--items", "ids")
    gone = users["u3"][4]
    well("remove", "recommend", gone)
    answer = well("evaluate", "recommend", "--method", "popular", "--metrics", "recall@79", "--trec", "found.trec",
                  "--format", "json")  # fmt: skip
    told = json.loads(answer.out)
    assert told["tables"]["as_is"]["questions"] == 19
    assert "u3" not in {line.split()[0] for line in Path("found.trec").read_text().splitlines()}
    assert "the test items of 1 users are not in the corpus, and nothing takes their place" in told["notes"]
    kept = [json.loads(line) for line in Path("recommend/sequences.jsonl").read_text().splitlines()]
    assert kept[3] == {"user": "u3", "train": users["u3"][:3], "dev": users["u3"][3], "test": gone}
