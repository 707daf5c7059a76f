"""Two runs of the same documents: compared, drawn, walked through and rated, all from the command line."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from command_line import Answer, entries, learned, lmindexer, write_items
from lmindexer.corpus.documents import Corpus, Document


@pytest.fixture(scope="module")
def runs(corpus: Corpus, checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("looking")
    items = write_items(corpus, folder / "items.jsonl")
    told = [items, "--label", "kind", "--backbone", checkpoints["bert"], "--embeddings", checkpoints["bert"]]
    learned(*told, "--out", folder / "ours")
    learned(*told, "--out", folder / "theirs", "--indexer", "rq-kmeans")
    learned(*told, "--out", folder / "floor", "--indexer", "random")
    return [folder / name for name in ("ours", "theirs", "floor")]


def went_well(answer: Answer) -> Answer:
    assert answer.code == 0, answer.err
    return answer


def test_compare_shows_all_runs_in_one_table(runs: list[Path], tmp_path: Path):
    shown = went_well(lmindexer("compare", *runs, "--resamples", 20)).out
    header = next(line for line in shown.splitlines() if line.startswith("|"))
    assert [name in header for name in ("ours", "theirs", "floor")] == [True] * 3
    assert "AMI" in shown
    went_well(lmindexer("compare", *runs, "--resamples", 20, "--out", tmp_path / "new" / "table.md"))
    assert (tmp_path / "new" / "table.md").read_text() == shown[:-1]
    told = json.loads(went_well(lmindexer("compare", *runs, "--resamples", 20, "--format", "json")).out)
    assert [run["name"] for run in told["runs"]] == ["ours", "theirs", "floor"]
    assert [run["indexer"] for run in told["runs"]] == ["lmindexer", "rq-kmeans", "random"]
    own = json.loads((runs[1] / "report.json").read_text())["quality"]["rq-kmeans"]
    assert told["runs"][1]["quality"]["labels"] == own["labels"]


def test_compare_asks_another_encoder(runs: list[Path], checkpoints: dict[str, Path]):
    shown = went_well(lmindexer("compare", *runs[:2], "--resamples", 0, "--embeddings", checkpoints["bert"])).out
    assert f"10 nearest by {checkpoints['bert']}" in shown


def test_runs_of_other_documents_are_not_compared(runs: list[Path], corpus: Corpus, tmp_path: Path):
    few = write_items(Corpus.from_documents(list(corpus)[:40]), tmp_path / "few.jsonl")
    learned(few, "--indexer", "random", "--out", tmp_path / "few")
    answer = lmindexer("compare", runs[0], tmp_path / "few")
    assert answer.code == 2
    assert "few" in answer.err
    assert "Traceback" not in answer.err


def test_a_run_named_twice_is_refused(runs: list[Path]):
    answer = lmindexer("compare", runs[0], runs[0])
    assert (answer.code, answer.out) == (2, "")
    assert "is named twice; name each once" in answer.err


def test_a_run_named_by_two_paths_is_one_run(runs: list[Path], tmp_path: Path):
    (tmp_path / "link").symlink_to(runs[0])
    answer = lmindexer("compare", runs[0], tmp_path / "link")
    assert (answer.code, answer.out) == (2, "")
    assert "is named twice; name each once" in answer.err


@pytest.fixture(scope="module")
def upper_case(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the same ids with other texts and no labels."""
    folder = tmp_path_factory.mktemp("upper")
    others = Corpus.from_documents([Document(d.id, d.text.upper(), d.label) for d in corpus])
    learned(write_items(others, folder / "items.jsonl"), "--indexer", "random", "--out", folder / "upper")
    return folder / "upper"


def test_what_the_first_run_judges_although_it_is_of_other_texts_is_said(runs: list[Path], upper_case: Path):
    shown = went_well(lmindexer("compare", runs[2], upper_case, "--resamples", 0)).out
    assert f"- {upper_case} was learned from other texts or in another order; the texts of {runs[2]} judge it." in shown
    assert f"- {upper_case} has labels from no column; those of {runs[2]}, from kind, judge it." in shown
    assert "judge it" not in went_well(lmindexer("compare", runs[2], runs[1], "--resamples", 0)).out


def test_explore_says_whose_text_is_shown(runs: list[Path], upper_case: Path, tmp_path: Path):
    answer = went_well(lmindexer("explore", runs[2], upper_case, "--out", tmp_path / "page.html"))
    assert f"the text of {runs[2]} is shown" in answer.err
    assert not went_well(lmindexer("explore", *runs[1:], "--out", tmp_path / "page.html")).err


def test_a_pair_is_never_shown_with_the_text_of_another_run(runs: list[Path], upper_case: Path, tmp_path: Path):
    answer = lmindexer("pairs", runs[2], upper_case, "--depth", 1, "--out", tmp_path / "pairs.csv")
    assert answer.code == 2
    assert "has another text in" in answer.err
    assert entries(tmp_path) == []


def test_runs_whose_folders_have_one_name_are_told_apart(runs: list[Path], tmp_path: Path):
    other = Path(shutil.copytree(runs[1], tmp_path / "ours"))
    told = json.loads(went_well(lmindexer("compare", runs[0], other, "--resamples", 0, "--format", "json")).out)
    assert [run["name"] for run in told["runs"]] == [str(runs[0]), str(other)]


def test_explore_writes_one_page(runs: list[Path], tmp_path: Path):
    answer = went_well(lmindexer("explore", runs[1]))
    assert str(runs[1] / "explore.html") in answer.out
    went_well(lmindexer("explore", *runs[:2], "--out", tmp_path / "new" / "page.html"))
    assert entries(tmp_path) == ["new", "new/page.html"]
    assert "<html" in (tmp_path / "new" / "page.html").read_text()
    answer = lmindexer("explore", *runs)
    assert answer.code == 2
    assert "Traceback" not in answer.err


def test_explore_draws_the_figures_of_the_paper(runs: list[Path], tmp_path: Path):
    answer = went_well(lmindexer("explore", *runs, "--figures", tmp_path / "figures"))
    names = ["figure3-floor", "figure3-ours", "figure3-theirs", "figure4", "figure6"]
    assert entries(tmp_path / "figures") == [f"{name}.{kind}" for name in names for kind in ("png", "svg")]
    assert len(answer.out.splitlines()) == 2 * len(names)


def test_figures_go_to_a_folder_and_take_no_page(runs: list[Path], tmp_path: Path):
    answer = lmindexer("explore", runs[0], "--figures", tmp_path / "figures", "--out", tmp_path / "page.html")
    assert answer.code == 2
    assert "leave out --out" in answer.err
    (tmp_path / "file").touch()
    answer = lmindexer("explore", runs[0], "--figures", tmp_path / "file")
    assert answer.code == 2
    assert "cannot make the folder of --figures" in answer.err
    assert entries(tmp_path) == ["file"]


def test_a_picture_with_no_place_is_refused_before_anything_is_shown(runs: list[Path], tmp_path: Path):
    answer = lmindexer("inspect", runs[0], "--svg", tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert f"--svg {tmp_path} is a folder" in answer.err


def test_pairs_are_rated_blind_and_scored(runs: list[Path], tmp_path: Path):
    sheet = tmp_path / "pairs.csv"
    answer = went_well(lmindexer("pairs", *runs[:2], "--n", 5, "--depth", 1, "--out", sheet))
    assert answer.out.startswith("10 pairs in ")
    text = sheet.read_text(encoding="utf-8-sig")
    assert not any(name in text for name in ("ours", "theirs"))
    rows = list(csv.reader(text.splitlines()))
    answers = dict(zip((row[0] for row in rows[1:]), "yynnyynnyy", strict=True))
    with sheet.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *([*row[:-1], answers[row[0]]] for row in rows[1:])])
    shown = went_well(lmindexer("score", sheet)).out
    assert "ours" in shown
    told = went_well(lmindexer("score", sheet, "--format", "json", "--out", tmp_path / "scores.json"))
    assert told.out == ""
    assert "theirs" in (tmp_path / "scores.json").read_text()


def test_a_page_to_rate_in_a_browser(runs: list[Path], tmp_path: Path):
    went_well(lmindexer("pairs", *runs[:2], "--n", 3, "--depth", 1, "--seed", 4, "--out", tmp_path / "pairs.html"))
    assert entries(tmp_path) == ["pairs.html", "pairs.key.json"]
    answer = lmindexer("pairs", runs[0], "--out", tmp_path / "pairs.docx")
    assert answer.code == 2
    assert "name the sheet by one of them" in answer.err


@pytest.mark.parametrize("verb", ["compare", "explore"])
def test_a_folder_that_is_no_run_is_refused(verb: str, tmp_path: Path):
    answer = lmindexer(verb, tmp_path)
    assert answer.code == 2
    assert "is not a run folder" in answer.err
