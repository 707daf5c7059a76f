"""bench/ablation.py: its table, on a run of two variants."""

import sys
from pathlib import Path

import pytest

from command_line import SMALL, write_items
from lmindexer.config import LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.runs import Run

ROOT = Path(__file__).parent.parent


@pytest.fixture
def ablation(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import ablation

    return ablation


def test_two_variants_make_a_table(
    ablation: object,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    items = write_items(corpus, tmp_path / "items.jsonl")
    command = [items, "--out", tmp_path / "runs", "--sample", 60, "--only", "default,no encoder", "--quiet"]
    command += ["--label", "kind", "--backbone", checkpoints["bert"], *SMALL]
    tables = []
    for _ in range(2):  # the second time from the finished runs
        monkeypatch.setattr(sys, "argv", ["ablation", *map(str, command)])
        ablation.main()
        tables.append(capsys.readouterr().out)
    header, _, baseline, *variants = tables[0].splitlines()
    assert tables[1] == tables[0]
    assert baseline.startswith("| embed, then K-means |")
    assert [line.split("|")[1].strip() for line in variants] == ["default", "no encoder warm-up (Eq. 13)"]
    assert {line.count("|") for line in (baseline, *variants)} == {header.count("|")}
    assert all(cell.strip() for line in variants for cell in line.split("|")[1:-1])
    configs = [Run.open(folder).config for folder in (tmp_path / "runs").iterdir()]
    assert sorted(config.warmup_epochs for config in configs) == [0, 1]


def test_it_shows_what_pulls_at_the_decoder_on_demand(
    ablation: object,
    corpus: Corpus,
    checkpoints: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    items = write_items(corpus, tmp_path / "items.jsonl")
    command = [items, "--out", tmp_path / "runs", "--only", "default", "--quiet", "--gradients"]
    command += ["--backbone", checkpoints["bert"], *SMALL]
    monkeypatch.setattr(sys, "argv", ["ablation", *map(str, command)])
    ablation.main()
    first, second = capsys.readouterr().out.split("\n\n")
    assert first.startswith("|  | default, c1 | default, c2 | paper, c1 | paper, c2 |")
    assert "| reconstruction |" in first
    assert second.startswith("| variant |")


def test_every_variant_is_a_sound_setting_with_a_folder_of_its_own(ablation: object):
    config = LearnConfig()
    changed = [config.replace(**changes) for changes in ablation.VARIANTS.values()]
    assert len(set(changed)) == len(ablation.VARIANTS)
    folders = {ablation._folder(Path(), name) for name in ablation.VARIANTS}
    assert len(folders) == len(ablation.VARIANTS)
