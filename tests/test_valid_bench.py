"""bench/valid.py: it finds nothing wrong in the search, and does find what is wrong in a broken one."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from lmindexer.model.beam import Found

ROOT = Path(__file__).parent.parent


@pytest.fixture
def valid(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import valid

    size = "--queries 60 --documents 400 --beams 4 --k 5 --batch 8 --rounds 5"
    monkeypatch.setattr(sys, "argv", ["valid", *size.split()])
    return valid


def test_nothing_is_wrong(valid: ModuleType, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        valid.main()
    told = capsys.readouterr().out
    assert not stop.value.code
    assert "60 queries, 300 documents returned: 0 are no row of the table, 0 have not the score" in told
    assert "0 lists with a document twice, 0 with fewer than 5" in told


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (lambda rows: rows + 1000, "300 are no row of the table, 0 have not"),
        (lambda rows: (rows + 7) % 400, "0 are no row of the table, 300 have not"),
        (lambda rows: rows[:, :1].expand_as(rows).contiguous(), "60 lists with a document twice, 0 with fewer"),
        (lambda rows: rows.clone().index_fill_(1, rows.new_tensor([4]), -1), "60 with fewer than 5"),
    ],
)
def test_a_broken_search_is_noticed(
    valid: ModuleType, broken: Any, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    search = valid.beam_search

    def wrong(*arguments: Any) -> Found:
        found = search(*arguments)
        return Found(broken(found.rows), found.scores)

    monkeypatch.setattr(valid, "beam_search", wrong)
    with pytest.raises(SystemExit) as stop:
        valid.main()
    assert stop.value.code
    assert told in capsys.readouterr().out


def test_paths_are_looked_up_as_by_hand(valid: ModuleType):
    random = np.random.default_rng(0)
    sizes = (3, 5, 2)
    codes, paths = (random.integers(0, sizes, (n, 3)) for n in (9, 200))
    there = set(map(tuple, codes.tolist()))
    assert valid.in_table(paths, codes, sizes).tolist() == [tuple(path) in there for path in paths.tolist()]
