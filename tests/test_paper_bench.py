"""bench/paper: the tables of IDs on tiny runs, reused the second time; what cannot be run is said."""

from pathlib import Path

import pytest

from command_line import write_items
from lmindexer.corpus.documents import Corpus
from paper_command import Paper, rows


@pytest.fixture
def call(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Paper:  # fmt: skip
    items = write_items(corpus, tmp_path / "items.jsonl")
    return Paper(items, tmp_path / "runs", checkpoints["bert"], monkeypatch, capsys)


def test_table1_runs_what_is_there(call: Paper):
    only = "rq-VAE (BERT),HC (bundled),residual,random,LMIndexer"
    first = rows(call("table1", "--only", only, seeds="0,1"))
    assert first["rq-VAE (BERT)"][0] == "not run"
    assert "HC (BERT)" not in first
    assert "±" in first["LMIndexer"][0]
    assert "±" in first["random"][0]
    assert rows(call("table1", "--only", only, seeds="0,1")) == first


def test_a_run_of_other_settings_or_documents_is_not_passed_off(call: Paper):
    call("table1", "--only", "random")
    for more, message in (
        (("--learn", "max_tokens=9"), "with another max_tokens"),
        (("--sample", 40), "is of other documents"),
    ):
        assert message in call.refused("table1", "--only", "random", *more)
    assert "random" in call("table1", "--only", "random", "--learn", "checkpoint_seconds=5")


def test_what_the_paper_says_stands_beside(call: Paper, corpus: Corpus):
    from bench.paper.bench import Bench
    from bench.paper.data import DataSet
    from bench.paper.ids import COLUMNS, ids_table, leaf
    from bench.paper.rows import TABLE1

    from lmindexer.config import LearnConfig

    assert TABLE1["LMIndexer"]["beauty"] == 0.3563
    bench = Bench(DataSet("beauty", Path()), corpus, LearnConfig(), [], Path(), True, ("",))
    lines = ids_table(bench, {"HC": ({}, {"beauty": 0.25})}, COLUMNS).lines
    assert rows("\n".join(lines))["HC"] == [*["not run"] * 6, "0.25"]
    assert leaf({"quality": {"hc": {"labels": []}}}, "ami", 0) is None


@pytest.mark.parametrize(("what", "count"), [("table2", 2), ("table5", 3), ("figure8", 2)])
def test_the_other_tables(what: str, count: int, call: Paper, monkeypatch: pytest.MonkeyPatch):
    from bench.paper import studies

    monkeypatch.setattr(studies, "CODES", (4, 8))
    assert len(rows(call(what))) == count + 1


@pytest.mark.parametrize("what", ["figure3", "figure4", "figure6"])
def test_the_figures(what: str, call: Paper, tmp_path: Path):
    answer = call(what)
    assert [Path(line).suffix for line in answer.splitlines()] == [".svg", ".png"]
    assert all(Path(line).stat().st_size > 1000 for line in answer.splitlines())


def test_the_mean_and_the_spread_by_hand(call: Paper):
    from bench.paper.ids import spread

    assert spread([0.5, 0.7]) == "0.600 ± 0.141"
    assert spread([100.0]) == "100.0"
    assert spread([None]) == "-"
    assert spread([]) == "not run"


def test_data_that_is_not_there(call: Paper, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("LMINDEXER_DATA", str(tmp_path))
    said = call.refused("table1", data="toys")
    assert "set LMINDEXER_DATA to the folder that holds amazon2014_toys" in said
