"""What the README and the guides show is true: the Python runs, the flags exist, the links lead somewhere."""

import gzip
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lmindexer.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")
THINGS = ["shampoo", "soap", "brush", "polish", "cream", "lipstick", "towel", "mirror", "perfume", "comb"]
KINDS = ["gentle", "strong", "red", "large", "cheap"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The words of every `lmindexer ...` line of the code blocks, comments left out."""
    found = []
    for block in blocks(text, ""):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("lmindexer "):
                found.append(shlex.split(line, comments=True)[1:])
    return found


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    titles = [f"{kind} {thing}" for kind in KINDS for thing in THINGS]
    items = [{"id": f"{4690 + n}", "title": title, "brand": title[0], "categories": title.split()[1:]}
             for n, title in enumerate(titles)]  # fmt: skip
    with gzip.open("items.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(item) + "\n" for item in items)
    new = [{"id": "new1", "title": "blue soap", "brand": "b"}, {"id": "4711", "title": "known", "brand": "k"}]
    Path("new.jsonl").write_text("".join(json.dumps(item) + "\n" for item in new))
    write_beir("squad", {"red soap": "4701", "cheap comb": "4739"})
    (snippet,) = blocks(README, "python")
    exec(compile(snippet, "README.md", "exec"), {})
    ids = re.findall(r"^(?:(\S+) )?(\(\d+, \d+, \d+\))$", capsys.readouterr().out, re.MULTILINE)
    assert [name for name, _ in ids] == ["", "new1", "4711"]
    assert ids[0][1] == ids[2][1], "what was learned keeps its ID"


def write_beir(folder: str, answers: dict[str, str]) -> None:
    """Test queries, each with the document that answers it."""
    (Path(folder) / "qrels").mkdir(parents=True)
    lines = [json.dumps({"_id": f"q{n}", "text": text}) + "\n" for n, text in enumerate(answers)]
    Path(folder, "queries.jsonl").write_text("".join(lines))
    judged = [f"q{n}\t{doc_id}\t1\n" for n, doc_id in enumerate(answers.values())]
    Path(folder, "qrels", "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))


@pytest.mark.slow
def test_the_python_of_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for snippet in blocks((ROOT / "docs/usage.md").read_text(encoding="utf-8"), "python"):
        exec(compile(snippet, "usage.md", "exec"), names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "tree.html"]
    shown = capsys.readouterr().out
    assert "| recall@10 |" in shown
    assert "Hit(doc_id=" in shown
    assert "True [Document(" in shown, "index and add give the same ID"


@pytest.mark.slow
def test_the_python_of_the_pages_is_typed(tmp_path: Path):
    pages = [ROOT / "README.md", ROOT / "docs/usage.md", ROOT / "docs/guide.md"]
    for page in pages:
        if page.exists() and (snippets := blocks(page.read_text(encoding="utf-8"), "python")):
            (tmp_path / f"{page.stem.lower()}.py").write_text("\n".join(snippets))
    assert len(list(tmp_path.iterdir())) >= 2
    cells = json.loads((ROOT / "examples/lmindexer.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (tmp_path / "notebook.py").write_text("\n\n".join(code))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / ".mypy"), str(tmp_path)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"MYPYPATH": "src"})
    complaints = [line for line in found.stdout.splitlines() if str(tmp_path) in line]
    assert found.returncode in (0, 1), found.stderr
    assert complaints == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_verbs_and_options_that_they_name(page: Path):
    for verb, *words in commands(page.read_text(encoding="utf-8")):
        if verb == "VERB":
            continue
        known = {
            name for parameter in app.commands[verb].params if isinstance(parameter, click.Option)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }  # fmt: skip
        used = {word.partition("=")[0] for word in words if re.fullmatch(r"--?[a-z][\w-]*(=.*)?", word)}
        assert used - {"--help"} <= known, f"lmindexer {verb} {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        path, _, heading = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), target
        if heading:
            heads = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert heading in anchors, target


def test_the_readme_is_a_front_page():
    assert len(README.splitlines()) < 120
    assert len(re.findall(r"^\|---", README, re.MULTILINE)) == 1, "one table; the others are in docs/results.md"


def test_every_table_of_results_says_where_it_comes_from():
    parts = re.split(r"^##+ ", (ROOT / "docs/results.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = [part for part in parts if "\n|" in part]
    assert len(tables) > 5
    for part in tables:
        assert re.search(r"Command:", part), part[:40]
        assert re.search(r"Commits? [0-9a-f]{7}", part), part[:40]
        assert re.search(r"machine|core", part), part[:40]
        assert re.search(r"20\d\d-\d\d-\d\d", part), part[:40]
