"""Rating sheets: the draw, the sheet, the key, the scores, and one rater at a keyboard."""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from lmindexer.errors import InputError
from lmindexer.evaluation.pairs import LONGEST, PairSample, sample_pairs
from lmindexer.evaluation.ratings import COLUMNS, fleiss_kappa, score
from lmindexer.evaluation.sheet import score_sheets, write_sheet
from lmindexer.ids.table import IdTable

CHROMIUM = Path("/usr/bin/chromium")


def table(*paths: tuple[int, ...], names: str = "") -> IdTable:
    ids = IdTable.empty(names or [f"d{row}" for row in range(len(paths))])
    for column in np.array(paths).T:
        ids = ids.append(column, 9)
    return ids.with_suffix()


GOOD = table((0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (2, 0))  # 3 + 1 pairs share both codes
POOR = table((0, 0), (1, 0), (2, 0), (3, 1), (1, 1), (4, 1), (3, 1))  # one pair


def drawn(n: int = 20, **more: int) -> PairSample:
    return sample_pairs({"good": GOOD, "poor": POOR}, lambda doc_id: f"text of {doc_id}", n, **more)


def of(sample: PairSample, method: str) -> list[tuple[str, ...]]:
    return sorted(tuple(sorted(pair.doc_ids)) for pair in sample.pairs if pair.method == method)


@pytest.fixture
def sheet(tmp_path: Path) -> tuple[Path, Path]:
    path = tmp_path / "sheet.csv"
    return path, write_sheet(path, drawn(), {"good": "runs/a"})


def fill(sheet: Path, rater: str, say: Callable[[int], str], separator: str = ",") -> Path:
    """A copy of the sheet with an answer to each pair by its number."""
    header, *rows = list(csv.reader(io.StringIO(sheet.read_text("utf-8-sig"))))
    filled = sheet.with_name(f"{rater}.csv")
    with filled.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(header)
        writer.writerows([*row[:3], say(number)] for number, row in enumerate(rows, 1))
    return filled


def test_all_pairs_by_hand():
    sample = drawn()
    assert of(sample, "good") == [("d0", "d1"), ("d0", "d2"), ("d1", "d2"), ("d4", "d5")]
    assert of(sample, "poor") == [("d3", "d6")]
    assert [pair.number for pair in sample.pairs] == [1, 2, 3, 4, 5]
    assert [note.partition(" that")[0] for note in sample.notes] == [
        "good: only 4 of 20 pairs exist",
        "poor: only 1 of 20 pairs exist",
    ]
    assert not drawn(1).notes


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=30), st.integers(0, 2))
def test_the_draw_of_everything_is_the_double_loop(paths: list[tuple[int, int]], depth: int):
    ids = table(*paths)
    all_pairs = [pair for pair in combinations(range(len(paths)), 2) if len({paths[row][:depth] for row in pair}) == 1]
    if all_pairs:
        sample = sample_pairs({"m": ids}, str, n=10_000, depth=depth)
        assert of(sample, "m") == sorted(tuple(sorted(f"d{row}" for row in pair)) for pair in all_pairs)
    else:
        with pytest.raises(InputError, match="no two documents of m share"):
            sample_pairs({"m": ids}, str, depth=depth)


def test_every_pair_and_every_order_is_as_likely():
    draws = [drawn(2, seed=seed) for seed in range(1500)]
    counts = Counter(pair.doc_ids for sample in draws for pair in sample.pairs if pair.method == "good")
    assert len(counts) == 8, "four pairs, either document first"
    assert all(abs(count - 3000 / 8) < 5 * math.sqrt(3000 / 8) for count in counts.values())
    assert all(len(set(of(sample, "good"))) == 2 for sample in draws), "none twice"
    places = Counter(pair.number for sample in draws for pair in sample.pairs if pair.method == "poor")
    assert all(abs(places[number] - 500) < 5 * math.sqrt(500) for number in (1, 2, 3)), "the place tells no method"


def test_a_draw_repeats_and_stands_by_itself():
    assert drawn(2, seed=4) == drawn(2, seed=4) != drawn(2, seed=5)
    alone = sample_pairs({"good": GOOD}, str, 2, seed=4)
    assert of(alone, "good") == of(drawn(2, seed=4), "good")


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(InputError, match="good has 2 learned positions, so none share 3"):
        drawn(depth=3)
    with pytest.raises(InputError, match="0 pairs a method"):
        drawn(0)
    with pytest.raises(InputError, match="no two documents of lonely share their first 2 codes"):
        sample_pairs({"lonely": table((0, 0), (0, 1))}, str)
    with pytest.raises(InputError, match=r"no text for 'd[0-9]' of good"):
        sample_pairs({"good": GOOD}, {}.__getitem__)


def test_the_sheet_says_nothing_of_the_method_and_the_key_all(tmp_path: Path):
    sample = drawn(seed=7)
    for name in ("sheet.csv", "page.html"):
        key = json.loads(write_sheet(tmp_path / name, sample, {"good": "runs/a"}).read_text())
        told = (tmp_path / name).read_text("utf-8-sig")
        assert "good" not in told
        assert "poor" not in told
        assert all(text in told for pair in sample.pairs for text in pair.texts)
        assert key["runs"] == {"good": "runs/a"}
        assert (key["seed"], key["depth"], len(key["notes"])) == (7, 2, 2)
        assert [(each["pair"], each["method"], tuple(each["documents"])) for each in key["pairs"]] == [
            (pair.number, pair.method, pair.doc_ids) for pair in sample.pairs
        ]
    assert (tmp_path / "page.key.json").exists()
    with pytest.raises(InputError, match=r"sheet.xlsx is neither \.csv nor \.html"):
        write_sheet(tmp_path / "sheet.xlsx", sample)


def test_neither_ratings_nor_a_key_are_written_over(sheet: tuple[Path, Path]):
    path, key = sheet
    before = path.read_bytes(), key.read_bytes()
    with pytest.raises(InputError, match=r"sheet\.csv exists already and may hold ratings"):
        write_sheet(path, drawn())
    with pytest.raises(InputError, match=r"sheet\.key\.json is the key of another sheet"):
        write_sheet(path.with_suffix(".html"), drawn(seed=1))
    assert not path.with_suffix(".html").exists()
    write_sheet(path.with_suffix(".html"), drawn(), {"good": "runs/a"})  # the same pairs on a page: one key for both
    assert (path.read_bytes(), key.read_bytes()) == before


def test_a_sheet_survives_spreadsheets_and_long_texts(tmp_path: Path):
    texts = {"a": '=HYPERLINK("x")', "b": " -1\n\tcream", "c": "Käse, " * 1000, "d": "</script>日本"}
    ids = table((0, 0), (0, 0), (1, 1), (1, 1), names="abcd")
    sample = sample_pairs({"m": ids}, texts.__getitem__)
    write_sheet(tmp_path / "s.csv", sample)
    assert (tmp_path / "s.csv").read_bytes().startswith(b"\xef\xbb\xbfpair,first document,")
    rows = list(csv.reader(io.StringIO((tmp_path / "s.csv").read_text("utf-8-sig"))))
    assert rows[0] == list(COLUMNS)
    cells = {cell for row in rows[1:] for cell in row[1:3]}
    assert {'\'=HYPERLINK("x")', "'-1 cream", "</script>日本"} < cells
    assert max(map(len, cells)) == LONGEST + 2
    write_sheet(tmp_path / "s.html", sample)
    assert (tmp_path / "s.html").read_text().count("</script>") == 2, "no text ends the script"


def test_scores_by_hand(sheet: tuple[Path, Path]):
    path, key = sheet
    poor = next(pair.number for pair in drawn().pairs if pair.method == "poor")
    first_good, *_, last_good = (number for number in range(1, 6) if number != poor)
    ann = fill(path, "ann", lambda number: "no" if number in (poor, first_good) else "YES ")
    bob = fill(path, "bob", lambda number: {poor: "0", last_good: ""}.get(number, "True"), separator=";")
    scores = score_sheets([ann, bob], key)
    good, bad = scores.methods
    assert (good.method, good.related, good.ratings, good.unrated, good.pairs) == ("good", 6, 7, 1, 4)
    assert good.accuracy == pytest.approx(6 / 7)
    assert 0.3 < good.interval[0] < 6 / 7 < good.interval[1] < 1, "of four pairs, though there are seven ratings"
    assert (bad.method, bad.related, bad.ratings, bad.accuracy) == ("poor", 0, 2, 0.0)
    assert scores.unrated == {"ann": (), "bob": (last_good,)}
    assert scores.agreement == 3 / 4, "of the four pairs both rated they differ on one"
    assert scores == score_sheets([ann, bob]), "the key lies beside the sheets"
    page = scores.to_markdown()
    assert "| good | 0.8571 | " in page
    assert "| 6 | 7 | 1 |" in page
    assert "75% are equal" in page
    assert f"bob left out 1: {last_good}." in page
    assert json.loads(json.dumps(scores.to_dict()))["methods"][1]["accuracy"] == 0


def test_nobody_rated_and_one_rater(sheet: tuple[Path, Path]):
    scores = score_sheets([sheet[0]])
    assert math.isnan(scores.methods[0].accuracy)
    assert (
        scores.to_dict()["methods"][0] | {"interval": [None, None], "accuracy": None} == scores.to_dict()["methods"][0]
    )
    assert scores.to_dict()["kappa"] is None
    assert "| poor | - | - | 0 | 0 | 1 |" in scores.to_markdown()
    assert "kappa" not in scores.to_markdown()


def test_a_spreadsheets_own_ways_are_read(sheet: tuple[Path, Path]):
    path, _ = sheet
    lines = path.read_text("utf-8-sig").replace("text of", "Käse").replace(",", "\t").splitlines()
    changed = "\r\n".join([lines[0] + "\tremark", *[line + "1\tgood" for line in reversed(lines[1:])], "\t\t\t\t", ""])
    path.with_name("excel.csv").write_bytes(changed.encode("latin-1"))
    assert score_sheets([path.with_name("excel.csv")]).methods[0].accuracy == 1
    path.with_name("unicode.csv").write_bytes(changed.encode("utf-16"))
    assert score_sheets([path.with_name("unicode.csv")]).methods[0].accuracy == 1


def changed(path: Path, change: Callable[[list[str]], Sequence[str]]) -> Path:
    """A copy with its lines changed."""
    to = path.with_name("changed.csv")
    to.write_text("\n".join(change(path.read_text("utf-8-sig").splitlines())), "utf-8")
    return to


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda lines: [*lines[:2], lines[2] + "maybe", *lines[3:]],
            r"changed.csv, line 3: 'maybe' is no answer",
        ),
        (lambda lines: [*lines, lines[2]], r"changed.csv, line 7: pair '[a-z]{6}-2' is there twice"),
        (lambda lines: lines[:-2], r"changed.csv lacks 2 of 5 pairs, the first '[a-z]{6}-4'"),
        (lambda lines: lines[1:], r"changed.csv is not a rating sheet: its columns are "),
        (lambda lines: [], r"changed.csv is not a rating sheet: its columns are none, and"),
        (lambda lines: ["pair,pair," + lines[0], *lines[1:]], r"needs each of 'pair', .* once"),
        (lambda lines: ["x" * 999, *lines], r"its columns are 'x+ …, and it needs"),
        (lambda lines: [*lines, "x" * 200_000], r"changed.csv, line 7: field larger .*save the sheet as CSV again"),
        (lambda lines: [*lines, "other-1,a,b,"], r"pair 'other-1' is not of .*sheet.key.json"),
    ],
)
def test_a_damaged_sheet_is_refused(
    sheet: tuple[Path, Path], change: Callable[[list[str]], Sequence[str]], message: str
):
    before = csv.field_size_limit(131_072)  # as at the start of a process; reading a corpus raises it
    try:
        with pytest.raises(InputError, match=message):
            score_sheets([changed(sheet[0], change)], sheet[1])
    finally:
        csv.field_size_limit(before)


def test_a_wrong_key_is_refused(sheet: tuple[Path, Path], tmp_path: Path):
    path, key = sheet
    (tmp_path / "other").mkdir()
    other = write_sheet(tmp_path / "other" / "sheet.csv", drawn(seed=1))
    with pytest.raises(InputError, match=r"is not of .*other/sheet\.key\.json, whose pairs begin with"):
        score_sheets([path], other)
    with pytest.raises(InputError, match="cannot be read"):
        score_sheets([path], tmp_path / "none.key.json")
    with pytest.raises(InputError, match="is not the key of a rating sheet"):
        score_sheets([path], path)
    other.write_text("[" * 99_999)
    with pytest.raises(InputError, match="is not the key of a rating sheet"):
        score_sheets([path], other)
    key.write_text(key.read_text().replace('"poor"', '"good"'))
    with pytest.raises(InputError, match="was changed since it was written"):
        score_sheets([path])
    key.unlink()
    with pytest.raises(InputError, match="no key of these sheets lies beside them"):
        score_sheets([path])


def test_wrong_sheets_are_refused(sheet: tuple[Path, Path], tmp_path: Path):
    with pytest.raises(InputError, match="there are no sheets"):
        score_sheets([])
    with pytest.raises(InputError, match="named twice"):
        score_sheets([sheet[0], tmp_path / ".." / tmp_path.name / "sheet.csv"])
    with pytest.raises(InputError, match=r"none\.csv cannot be read"):
        score_sheets([tmp_path / "none.csv"])
    write_sheet(tmp_path / "page.html", drawn())
    with pytest.raises(InputError, match=r"page\.html is the sheet itself"):
        score_sheets([tmp_path / "page.html"])


def test_of_one_rater_the_interval_is_that_of_a_share_and_more_raters_narrow_it_little():
    once = np.array([[1] * 6 + [0] * 4])
    (alone,) = score(once, ["good"] * 10, ["ann"]).methods
    assert alone.interval == pytest.approx(tuple(beta.ppf([0.025, 0.975], 6.5, 4.5)), abs=0.01)
    (agreed,) = score(np.repeat(once, 3, axis=0), ["good"] * 10, ["ann", "bob", "eve"]).methods
    assert agreed.interval == pytest.approx(alone.interval), "raters who agree make no second pair of one"


def test_fleiss_by_hand():
    # three raters: 3 yes, 2 of 3, 0 of 3; equal pairs of answers 1, 1/3, 1; 5 of 9 say yes: chance 41/81
    equal, kappa = fleiss_kappa(np.array([3, 2, 0, 1]), np.array([3, 3, 3, 1]))
    assert equal == pytest.approx(7 / 9)
    assert kappa == pytest.approx((7 / 9 - 41 / 81) / (40 / 81))
    assert fleiss_kappa(np.array([0, 2]), np.array([2, 2])) == (1, 1)
    assert fleiss_kappa(np.array([1, 1]), np.array([2, 2])) == (0, -1), "never equal, where chance is a half"
    assert fleiss_kappa(np.array([2, 2]), np.array([2, 2]))[0] == 1
    assert math.isnan(fleiss_kappa(np.array([2, 2]), np.array([2, 2]))[1])
    assert math.isnan(fleiss_kappa(np.array([1]), np.array([1]))[0])


def test_a_rater_at_the_keyboard(tmp_path: Path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    texts = {f"d{row}": f'=no {row}, "quoted" </script>' for row in range(7)}
    sample = sample_pairs({"good": GOOD, "poor": POOR}, texts.__getitem__)
    write_sheet(tmp_path / "sheet.html", sample)
    with playwright.sync_playwright() as program:
        browser = program.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page()
        faults: list[object] = []
        page.on("pageerror", lambda fault: faults.append(fault))
        page.goto((tmp_path / "sheet.html").as_uri())
        seen = playwright.expect
        seen(page.locator("#first")).to_have_text(sample.pairs[0].texts[0])
        page.keyboard.press("s")
        page.keyboard.press("n")
        page.keyboard.press("Backspace")
        page.keyboard.press("y")  # 2, changed his mind
        page.reload()  # 1 and 2 are kept
        seen(page.locator("#count")).to_have_text("pair 3 of 5")
        for key in "Nyy":
            page.keyboard.press(key)
        seen(page.locator("#told")).to_contain_text("1 skipped")
        page.fill("#name", "Anna Yn")
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(tmp_path / download.value.suggested_filename)
        browser.close()
    assert not faults
    saved = tmp_path / "sheet-Anna-Yn.csv"
    rows = list(csv.DictReader(io.StringIO(saved.read_text("utf-8-sig"))))
    assert [row["related"] for row in rows] == ["", "yes", "no", "yes", "yes"]
    assert [row["first document"] for row in rows] == ["'" + pair.texts[0] for pair in sample.pairs]
    scores = score_sheets([saved])
    said = {pair.number: row["related"] for pair, row in zip(sample.pairs, rows, strict=True)}
    for method in scores.methods:
        answers = [said[pair.number] for pair in sample.pairs if pair.method == method.method]
        assert (method.related, method.ratings) == (answers.count("yes"), len(answers) - answers.count(""))
