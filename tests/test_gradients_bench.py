"""bench/gradients.py: the pull of every term, weighted as in the sum that is minimised."""

import sys
from pathlib import Path

import pytest

from command_line import SMALL, write_items
from lmindexer.config import from_mapping
from lmindexer.corpus.documents import Corpus

ROOT = Path(__file__).parent.parent


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import gradients

    return gradients


def test_each_objective_shows_the_terms_it_has(
    gradients: object,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    items = write_items(corpus, tmp_path / "items.jsonl")
    command = [items, "--text", "title", "--batches", 2, "--backbone", checkpoints["bert"], *SMALL]
    monkeypatch.setattr(sys, "argv", ["gradients", *map(str, command)])
    gradients.main()
    head, _, *lines = capsys.readouterr().out.splitlines()
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines}
    assert [cell.strip() for cell in head.split("|")[2:-1]] == ["default, c1", "default, c2", "paper, c1", "paper, c2"]
    here = {name: [cell != "-" and float(cell) >= 0 for cell in row] for name, row in cells.items()}
    assert here == {
        "reconstruction": [True] * 4,
        "contrastive": [True] * 4,
        "commitment": [False, True, False, True],
        "alignment": [True, True, False, False],
        "spread": [False, True, False, False],
        "all together": [True] * 4,
        gradients.SHARE: [True] * 4,
    }


def test_a_term_counts_with_its_weight(gradients: object, corpus: Corpus, checkpoints: dict[str, Path]):
    settings = dict(zip((str(flag)[2:] for flag in SMALL[::2]), SMALL[1::2], strict=True))
    settings |= {"backbone": str(checkpoints["bert"]), "objective": "paper", "warmup-epochs": 0}
    config = from_mapping(settings)
    once, thrice = (gradients.gradients(config.replace(contrastive=x), corpus, 1)["c1"] for x in (1.0, 3.0))
    assert once["reconstruction"] == pytest.approx(thrice["reconstruction"])
    assert thrice["contrastive"][0] == pytest.approx(3 * once["contrastive"][0], rel=0.02)
