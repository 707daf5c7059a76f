"""bench/paper.py: the tables on tiny runs, reused the second time; what cannot be run is said."""

import sys
from pathlib import Path
from typing import Any

import pytest

from command_line import SMALL, write_items
from lmindexer.corpus.documents import Corpus

ROOT = Path(__file__).parent.parent


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import paper

    return paper


@pytest.fixture
def call(
    paper: Any, corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:  # fmt: skip
    items = write_items(corpus, tmp_path / "items.jsonl")
    bert = str(checkpoints["bert"])

    def call(what: str, *more: object) -> str:
        command = [what, "--data", items, "--out", tmp_path / "runs", "--seeds", "0,1", "--quiet", "--label", "kind"]
        command += ["--backbone", bert, "--embeddings", bert, "--clusters", 3, "--leaf", 8, "--vae-epochs", 3]
        monkeypatch.setattr(sys, "argv", ["paper", *map(str, (*command, *SMALL, *more))])
        paper.main()
        return str(capsys.readouterr().out)

    return call


def rows(table: str) -> dict[str, list[str]]:
    lines = [line.split("|")[1:-1] for line in table.splitlines() if line.startswith("| ")]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def test_table1_runs_what_is_there(paper: Any, call: Any):
    only = "rq-VAE (BERT),HC (bundled),residual,random,LMIndexer"
    first = rows(call("table1", "--only", only))
    assert first["rq-VAE (BERT)"][0] == "not run"
    assert "HC (BERT)" not in first
    assert "±" in first["LMIndexer"][0]
    assert "±" in first["random"][0]
    assert rows(call("table1", "--only", only)) == first


def test_a_run_of_other_settings_or_documents_is_not_passed_off(call: Any, tmp_path: Path, corpus: Corpus, capsys: Any):
    call("table1", "--only", "random")
    for more, message in (
        (("--max-tokens", 9), "with another max_tokens"),
        (("--sample", 40), "is of other documents"),
    ):
        with pytest.raises(SystemExit):
            call("table1", "--only", "random", *more)
        assert message in capsys.readouterr().err
    assert "random" in call("table1", "--only", "random", "--checkpoint-seconds", 5)


def test_what_the_paper_says_stands_beside(paper: Any):
    assert paper.TABLE1["LMIndexer"][1]["beauty"] == 0.3563
    report = {"quality": {"hc": {"labels": []}}}
    bench = paper.Bench("beauty", None, paper.LearnConfig(), [], Path(), True, ("",))
    assert rows(bench.table({"HC": ({}, {"beauty": 0.25})}, paper.COLUMNS))["HC"] == [*["not run"] * 6, "0.25"]
    assert paper._leaf(report, "ami", 0) is None


@pytest.mark.parametrize(("what", "count"), [("table2", 2), ("table5", 3), ("figure8", 2)])
def test_the_other_tables(what: str, count: int, call: Any, paper: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paper, "FIGURE8", (4, 8))
    assert len(rows(call(what))) == count + 1


@pytest.mark.parametrize("what", ["figure3", "figure4", "figure6"])
def test_the_figures(what: str, call: Any, tmp_path: Path):
    answer = call(what, "--seeds", "0")
    assert [Path(line).suffix for line in answer.splitlines()] == [".svg", ".png"]
    assert all(Path(line).stat().st_size > 1000 for line in answer.splitlines())


def test_the_mean_and_the_spread_by_hand(paper: Any):
    assert paper._spread([0.5, 0.7]) == "0.600 ± 0.141"
    assert paper._spread([100.0]) == "100.0"
    assert paper._spread([None]) == "-"
    assert paper._spread([]) == "not run"


def test_data_that_is_not_there(paper: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
                                tmp_path: Path):  # fmt: skip
    monkeypatch.setenv("LMINDEXER_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["paper", "table1", "--data", "toys"])
    with pytest.raises(SystemExit):
        paper.main()
    assert "set LMINDEXER_DATA to the folder that holds amazon2014_toys" in capsys.readouterr().err
