"""bench/speed: every path has its table; the work that its formulas name is the work that is done."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[list[str]]]:
    """Runs a path with some options; the cells of the tables that it prints."""
    monkeypatch.syspath_prepend(str(ROOT))

    def rows(path: str, options: str) -> list[list[str]]:
        from bench.speed.__main__ import main

        before = torch.get_num_threads()
        monkeypatch.setattr(sys, "argv", ["bench.speed", path, "--rounds", "1", *options.split()])
        main()
        torch.set_num_threads(before)
        lines = capsys.readouterr().out.splitlines()
        return [line.strip("| ").split(" | ") for line in lines if line.startswith("|") and not line.startswith("|-")]

    return rows


def test_search_has_every_way_and_transformers_gives_the_same_scores(
    checkpoints: dict[str, Path], run: Callable[..., list[list[str]]]
):
    size = "--documents 300 --beams 4 --batch 2 --tokens 8 --positions 2 --k 3 --shape tiny"
    ways = [cells[2] for cells in run("search", f"{size} --exact --backbone {checkpoints['bert']}")[1:]]
    theirs = ["encoder alone (the floor)", "search", "search, decoding", "generate()", "generate(), decoding"]
    assert ways == [f"T5 {way}" for way in theirs]
    size = size.removesuffix(" --shape tiny")
    ways = [cells[2] for cells in run("search", f"{size} --exact --backbone {checkpoints['bert']}")[1:]]
    assert ways == [*theirs[:3], "exact search", *(f"T5 {way}" for way in theirs)]


def test_learning_is_timed_at_both_positions(run: Callable[..., list[list[str]]]):
    rows = run("learn", "--shape tiny --tokens 12 --batch 4 --precision fp32")
    assert [cells[0] for cells in rows[1:3]] == ["c1: training", "c2: training"]
    assert all(float(cell) > 0 for cells in rows[1:3] for cell in (*cells[1:3], cells[3].rstrip("x")))


def test_the_other_paths_have_a_row_a_way(checkpoints: dict[str, Path], run: Callable[..., list[list[str]]]):
    rows = run("finetune", "--shape tiny --tokens 6 --batch 2 --precision fp32")
    assert [cells[0] for cells in rows] == ["way", "ours", "transformers"]
    rows = run("index", f"--documents 20 --words 6 --precision fp32 --backbone {checkpoints['bert']}")
    assert [cells[0] for cells in rows] == ["way", "the encoder's bare forward", "ours: text to ID"]
    rows = run("kmeans", "--vectors 300 --dim 8 --codes 10 --iterations 2")
    assert [cells[0] for cells in rows] == ["way", "ours", "faiss", "scikit-learn"]


@pytest.mark.slow
def test_loading_has_a_row_a_command(checkpoints: dict[str, Path], run: Callable[..., list[list[str]]]):
    assert len(run("load", f"--backbone {checkpoints['bert']}")) == 6


@pytest.mark.parametrize("rebuilt", [0, 3])
def test_the_formulas_count_what_a_step_multiplies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rebuilt: int):
    """Torch counts every product of a step; the formulas leave out what no term of the size of a document is in."""
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.speed import learn
    from bench.speed.costs import learning_step
    from bench.speed.shapes import SHAPES

    shares: dict[str, float] = {}

    def count(learner: Any, stage: Any, t: int, rounds: int, reference: bool) -> dict[str, float]:
        batch = next(rows for rows in stage.batches(np.random.default_rng(0)) if len(rows) == 8)
        learner.indexer.train()
        with FlopCounterMode(display=False) as counter, learn.only_learning(learner.trainer.modules, stage.parameters):
            stage.losses(batch)["loss"].backward()
        formula = learning_step(SHAPES["tiny"], learner, 40, 8, t)
        shares[stage.name] = formula.total / counter.get_total_flops()
        return {"ours": 1.0}

    monkeypatch.setattr(learn, "_time", count)
    a = argparse.Namespace(
        device="cpu", shape="tiny", tokens=40, batch=8, rounds=1, no_reference=True,
        settings=["--precision", "fp32", "--rebuilt-tokens", str(rebuilt)],
    )  # fmt: skip
    learn.report(a)
    assert shares.keys() == {"c1: training", "c2: training"}
    for name, share in shares.items():
        assert 0.9 < share < 1.1, (name, share)
