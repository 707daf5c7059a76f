"""Run folders whose list of digests agrees with what was changed in them, as another program might leave one: every
verb says in a sentence what is the matter. The fuzzer (tests/fuzz) found these."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from command_line import SMALL, counting_of, entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.runs import Run
from lmindexer.runs.contents import entry_of


@pytest.fixture(scope="module")
def home(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs of the same documents."""
    folder = tmp_path_factory.mktemp("home")
    items = write_items(corpus, folder / "items.jsonl")
    for name, words in {
        "random": ("--indexer", "random"),
        "kmeans": ("--indexer", "rq-kmeans", "--embeddings", checkpoints["bert"]),
        "learned": ("--backbone", checkpoints["bert"]),
    }.items():
        learned(items, "--out", folder / name, *words)
    (folder / "new.jsonl").write_text('{"id": "new", "title": "rose"}\n')
    return folder


def relist(run: Path, name: str) -> None:
    """Let run.json agree with the file as it is now."""
    Run(run).update(files=Run.open(run).facts["files"] | {name: entry_of(run / name)})


def is_refused(command: str, run: Path | str, *words: object, names: str) -> bool:
    answer = lmindexer(command, run, *words)
    assert answer.code == 2, answer
    assert answer.err.startswith("lmindexer: ")
    assert answer.err.count("\n") == 1
    assert len(answer.err) < 620
    assert names in answer.err, answer.err
    return True


@pytest.mark.parametrize(
    ("column", "cell"),
    [("label", [None]), ("label", None), ("id", None), ("text", None), ("id", "doc1"), ("text", 3), ("label", "a")],
)
def test_documents_that_are_none(here: Path, column: str, cell: object):
    path = here / "random" / "documents.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(column), column, pa.array([cell] * len(table))), path)
    relist(here / "random", "documents.parquet")
    for command in (("inspect",), ("pseudo", "--ways", "words", "--out", "pseudo.jsonl"), ("add", "new.jsonl")):
        assert is_refused(command[0], "random", *command[1:], names="damaged")
    assert not (here / "pseudo.jsonl").exists()


def test_check_sees_a_table_that_no_digest_accuses(here: Path):
    path = here / "random" / "ids.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "id", pa.array(["doc0"] * len(table))), path)
    relist(here / "random", "ids.parquet")
    answer = lmindexer("check", "random")
    assert answer.code == 1
    assert "ids.parquet is not an ID table" in answer.out


def test_a_table_of_other_codebooks(here: Path):
    path = here / "random" / "ids.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({"sizes": "[9, 9]"}), path)
    relist(here / "random", "ids.parquet")
    for command in (("inspect",), ("export",), ("add", "new.jsonl"), ("search", "rose", "--method", "bm25")):
        assert is_refused(command[0], "random", *command[1:], names="of other codebooks than run.json says")


def without_number(x: np.ndarray) -> np.ndarray:
    return np.full_like(x, np.nan) if x.dtype.kind == "f" else np.full_like(x, -(2**31))


def odd_tensors(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensors = load_file(path)
    save_file({name: np.asarray(change(x)) for name, x in tensors.items()}, path)


@pytest.mark.parametrize(
    ("run", "name"),
    [("random", "quantiser"), ("kmeans", "quantiser"), ("learned", "indexer")],
)
@pytest.mark.parametrize(
    "change",
    [lambda x: x[:1] if x.ndim else x, lambda x: -x, lambda x: np.zeros((), x.dtype), without_number],
    ids=["shorter", "negative", "one number", "no numbers"],
)
def test_weights_that_are_none(here: Path, run: str, name: str, change: Callable[[np.ndarray], np.ndarray]):
    before = lmindexer("index", run, "new.jsonl")
    assert before.code == 0, before
    odd_tensors(here / run / f"{name}.safetensors", change)
    relist(here / run, f"{name}.safetensors")
    answer = lmindexer("index", run, "new.jsonl")
    if answer.code or change is without_number:
        assert is_refused("index", run, "new.jsonl", names=f"{name}.safetensors")


def test_a_pretrained_model_that_other_programs_stumble_over(here: Path):
    path = here / "kmeans" / "backbone" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "../../x"}))
    relist(here / "kmeans", "backbone/tokenizer.json")
    assert is_refused("index", "kmeans", "new.jsonl", names="cannot load the model")


def test_a_log_of_something_else_is_not_read(here: Path):
    (here / "learned" / "log.jsonl").write_text('{"perplexity": 1}\n["stage"]\n\xff\n')
    (here / "learned" / "report.md").unlink()
    assert lmindexer("inspect", "learned").code == 0
    assert lmindexer("explore", "learned", "--figures", "pictures").code == 0


def test_a_run_that_was_learning_nothing(here: Path):
    path = here / "random" / "run.json"
    facts = json.loads(path.read_text()) | {"state": "learning"}
    path.write_text(json.dumps({name: value for name, value in facts.items() if name != "corpus"}))
    words = counting_of(("items.jsonl", "--indexer", "random", *SMALL, "--resume", "--out", "random"))
    answer = lmindexer("learn", *words)
    assert answer.code == 2
    assert "was learning another corpus" in answer.err


@pytest.mark.parametrize("told", ['{"a": 1}', "[]", '{"systems": []}', "[" * 99_999])
def test_an_evaluation_that_is_none(here: Path, told: str):
    path = here / "random" / "results-search-test.parquet"
    pq.write_table(pa.table({"query": ["1"]}).replace_schema_metadata({"results": told}), path)
    assert is_refused("compare", "random", "--resamples", 0, names="delete it and evaluate again")


def test_the_run_json_of_another_run_costs_no_file(here: Path):
    assert lmindexer("add", "random", "new.jsonl").code == 0
    (here / "random" / "run.json").write_bytes((here / "kmeans" / "run.json").read_bytes())
    before = entries(here)
    assert is_refused("remove", "random", "doc3", names="is damaged")
    assert entries(here) == before
