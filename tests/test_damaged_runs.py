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

from command_line import entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus
from lmindexer.runs import Run
from lmindexer.runs.contents import entry_of

SENTENCE = r"lmindexer: [^\n]{30,600}\n"


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


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy as the working folder, to be spoiled."""
    import shutil

    folder = Path(shutil.copytree(home, tmp_path / "here"))
    monkeypatch.chdir(folder)
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


def with_column(name: str, column: pa.Array) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, column)


TABLES: dict[str, Callable[[pa.Table], pa.Table]] = {
    "no suffix": lambda table: table.drop_columns(["suffix"]),
    "codes that are times": with_column("c1", pa.nulls(80, pa.duration("ns"))),
    "codes that are no whole numbers": with_column("c1", pa.array([0.5] * 80)),
    "codes that are missing": with_column("c2", pa.nulls(80, pa.int32())),
    "codes out of the codebook": with_column("c2", pa.array([4] * 80, pa.int32())),
    "negative codes": with_column("c1", pa.array([-1] * 80, pa.int32())),
    "ids that are missing": with_column("id", pa.nulls(80, pa.string())),
    "an id twice": with_column("id", pa.array(["doc0"] * 80)),
    "one ID for all": with_column("suffix", pa.array([0] * 80, pa.int32())),
    "other sizes": lambda table: table.replace_schema_metadata({"sizes": "[9, 9]"}),
    "sizes that are no list": lambda table: table.replace_schema_metadata({"sizes": "4"}),
    "sizes that are words": lambda table: table.replace_schema_metadata({"sizes": '["4", "4"]'}),
}


@pytest.mark.parametrize("what", TABLES)
def test_a_table_of_ids_that_is_none(here: Path, what: str):
    path = here / "random" / "ids.parquet"
    pq.write_table(TABLES[what](pq.read_table(path)), path)
    relist(here / "random", "ids.parquet")
    for command in (("inspect",), ("export",), ("add", "new.jsonl"), ("search", "rose", "--retriever", "bm25")):
        verb, *words = command
        assert is_refused(verb, "random", *words, names="ids.parquet")
    assert lmindexer("check", "random").code == 1 or is_refused("check", "random", names="ids.parquet")


@pytest.mark.parametrize(
    "command",
    [("explore",), ("explore", "--figures", "pictures"), ("compare",), ("pairs", "--depth", 1, "--out", "sheet.csv")],
)
def test_ids_and_documents_that_do_not_belong_together(here: Path, command: tuple[object, ...]):
    path = here / "random" / "ids.parquet"
    pq.write_table(pq.read_table(path).slice(3), path)
    relist(here / "random", "ids.parquet")
    before = entries(here)
    verb, *words = command
    assert is_refused(str(verb), "random", *words, names="do not belong together")
    assert set(entries(here)) - set(before) <= {"random/.lock", "pictures"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("quality", {}), ("quality", {"random": 3}), ("seconds", "long"), ("peak_memory_bytes", None), ("agreement", [])],
)
@pytest.mark.parametrize("verb", ["inspect", "compare"])
def test_a_report_that_says_something_else(here: Path, key: str, value: object, verb: str):
    report = json.loads((here / "learned" / "report.json").read_text()) | {key: value}
    (here / "learned" / "report.json").write_text(json.dumps(report))
    relist(here / "learned", "report.json")
    (here / "learned" / "report.md").unlink()
    if verb == "compare" and key in ("quality", "peak_memory_bytes"):
        assert lmindexer("compare", "learned", "--resamples", 0).code == 0, "these it does not read"
    else:
        assert is_refused(verb, "learned", names="report.json is damaged")


def odd_tensors(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    tensors = load_file(path)
    save_file({name: change(x) for name, x in tensors.items()}, path)


@pytest.mark.parametrize(
    ("run", "name"),
    [("random", "quantiser"), ("kmeans", "quantiser"), ("learned", "indexer")],
)
@pytest.mark.parametrize(
    "change",
    [lambda x: x[:1], lambda x: -x, lambda x: np.zeros((), x.dtype), lambda x: x * np.array(np.nan).astype(x.dtype)],
    ids=["shorter", "negative", "one number", "no numbers"],
)
def test_weights_that_are_none(here: Path, run: str, name: str, change: Callable[[np.ndarray], np.ndarray]):
    before = lmindexer("index", run, "new.jsonl")
    assert before.code == 0, before
    odd_tensors(here / run / f"{name}.safetensors", change)
    relist(here / run, f"{name}.safetensors")
    answer = lmindexer("index", run, "new.jsonl")
    assert answer.code == 0 or is_refused("index", run, "new.jsonl", names=f"{name}.safetensors")


def test_a_pretrained_model_that_other_programs_stumble_over(here: Path):
    path = here / "kmeans" / "backbone" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "../../x"}))
    relist(here / "kmeans", "backbone/tokenizer.json")
    assert is_refused("index", "kmeans", "new.jsonl", names="cannot load the model")


def test_half_a_surrogate_pair_in_run_json(here: Path):
    path = here / "random" / "run.json"
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "\\ud83d"'))
    for command in (("inspect",), ("add", "new.jsonl"), ("remove", "doc3")):
        verb, *words = command
        assert is_refused(verb, "random", *words, names="run.json is damaged")


def test_a_log_of_something_else_is_not_read(here: Path):
    (here / "learned" / "log.jsonl").write_text('{"a": 1}\n["stage"]\n\xff\n')
    (here / "learned" / "report.md").unlink()
    assert lmindexer("inspect", "learned").code == 0
    assert lmindexer("explore", "learned", "--figures", "pictures").code == 0


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
