"""bench/search.py: every way has its row, and transformers' way gives the same scores (it stops where it does not)."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_the_table_on_a_tiny_model(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import search

    size = (
        "--documents 300 --beams 4 --batch 2 --tokens 8 --positions 2 --k 3 --repeat 1 --threads 1 --width 64 --exact"
    )
    monkeypatch.setattr(sys, "argv", ["search", *size.split(), "--backbone", str(checkpoints["bert"])])
    search.main()
    rows = [line.split(" | ")[2] for line in capsys.readouterr().out.splitlines() if line.startswith("| 2 |")]
    ours = ["encoder alone (the floor)", "search", "search, decoding"]
    theirs = [f"T5 {way}" for way in (*ours, "generate()", "generate(), decoding")]
    assert rows == [*ours, "exact search", *theirs]
