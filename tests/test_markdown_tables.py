"""Tables are Markdown on a pipe and in files, and aligned on a terminal."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from command_line import lmindexer, write_items
from lmindexer.cli import main
from lmindexer.corpus.documents import Corpus
from lmindexer.tables import head_lines, line, show, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plain(text: str) -> str:
    """Without the signs that set colours and bold."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def on_a_terminal(*arguments: object) -> str:
    with contextlib.redirect_stdout(Terminal()) as out:
        main([str(argument) for argument in arguments])
    return plain(out.getvalue())


def shown(text: str) -> list[str]:
    """The lines on a terminal, without the blanks at their ends, less the empty ones."""
    terminal = Terminal()
    show(text, terminal)
    return [text for each in plain(terminal.getvalue()).splitlines() if (text := each.rstrip())]


def test_a_table_by_hand():
    assert table(("", "a|b"), [("x", "1"), ("y|z", "")]) == ["|  | a\\|b |", "|---|---:|", "| x | 1 |", "| y\\|z |  |"]
    assert head_lines(("n", "name", "s"), texts=(0, 1), spaced=True) == ["| n | name | s |", "| --- | --- | ---: |"]
    assert line(("a", "b")) == "| a | b |"


def test_on_a_terminal_columns_are_aligned():
    lines = shown("\n".join(table(("method", "recall"), [("bm25", "**.5**"), ("a|b longer", "1.25")])))
    assert [each for each in lines if "\u2500" not in each] == [
        " method      recall",
        " bm25            .5",
        " a|b longer    1.25",
    ]


@pytest.mark.parametrize("text", ["<b> of runs/__x__", "a_b_c & d &amp; e", "p<0.001, `x` ~~y~~", "[a](b) [c]"])
def test_on_a_terminal_nothing_is_lost_or_taken_for_markup(text: str):
    assert shown(text) == [text]


@pytest.fixture(scope="module")
def runs(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("tables")
    items = write_items(corpus, folder / "items.jsonl")
    for name in ("ours", "theirs"):
        learn = ("learn", items, "--label", "kind", "--indexer", "random", "--sizes", "4,4", "--device", "cpu")
        assert lmindexer(*learn, "--out", folder / name).code == 0
    (folder / "queries.jsonl").write_text('{"id": "q", "query": "rose soil", "split": "test", "doc_ids": ["doc1"]}\n')
    lmindexer("pairs", *(folder / name for name in ("ours", "theirs")), "--depth", 1, "--out", folder / "sheet.csv")
    return [folder / "ours", folder / "theirs"]


@pytest.mark.parametrize("verb", ["evaluate", "compare", "inspect", "score"])
def test_a_verb_writes_markdown_on_a_pipe_and_an_aligned_table_on_a_terminal(
    verb: str, runs: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("COLUMNS", "200")
    folder = runs[0].parent
    command = {
        "evaluate": ("evaluate", runs[0], "--queries", folder / "queries.jsonl", "--method", "bm25"),
        "compare": ("compare", *runs, "--resamples", 0),
        "inspect": ("inspect", runs[0]),
        "score": ("score", folder / "sheet.csv"),
    }[verb]
    written = lmindexer(*command)
    assert written.code == 0, written.err
    rows = [each for each in written.out.splitlines() if each.startswith("| ")]
    assert len(rows) > 2
    seen = on_a_terminal(*command)
    assert "| " not in seen
    assert "\u2500" * 20 in seen
    for row in rows[2:]:
        for cell in row.strip("| ").split(" | "):
            assert cell.strip("* ") in seen
    if verb != "inspect":
        assert lmindexer(*command, "--out", tmp_path / "table.md").code == 0
        assert (tmp_path / "table.md").read_text() == written.out[:-1]


def test_json_is_json_on_a_terminal_too(runs: list[Path]):
    command = ("compare", *runs, "--resamples", 0, "--format", "json")
    assert on_a_terminal(*command) == lmindexer(*command).out
