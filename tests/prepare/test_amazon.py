"""Amazon's files of 2014, 2018 and 2023, with their oddities; what was left out is told, nothing is evaluated."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lmindexer.errors import InputError
from lmindexer.prepare.prepared import Prepared
from lmindexer.prepare.preparing import prepare
from lmindexer.progress import Progress
from raw_sets import DAY, START, asin, lines_of, metadata, put, read_lines, reviewer, reviews, write_amazon

QUIET = Progress(None)


def made(raw: Path, **options: Any) -> tuple[Prepared, dict[str, dict[str, Any]], dict[str, list[str]]]:
    """What was told, the items by id, and the sequences by user."""
    out = raw.parent / "out"
    prepared = prepare("amazon", raw, out, options, QUIET)
    items = [json.loads(line) for line in read_lines(out / "items.jsonl.gz")]
    words = [line.split() for line in read_lines(out / "sequences.txt.gz")]
    assert len({item["id"] for item in items}) == len(items)
    return prepared, {item["id"]: item for item in items}, {user: taken for user, *taken in words}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_amazon(tmp_path / "raw")


def test_products_are_python_literals_with_gaps(raw: Path):
    prepared, items, sequences = made(raw)
    assert items[asin(0)] == {
        "id": asin(0), "title": "rose soap 0", "brand": "Kid's \"Own\"", "description": "a &amp; b\nnew",
        "features": "", "categories": [["Beauty", "Makeup"], ["Beauty", "Nails"]],
    }  # fmt: skip
    assert [items[asin(1)][name] for name in ("title", "brand", "description")] == ["", "", ""]
    assert items[asin(2)]["categories"] == []
    assert sequences[reviewer(3)] == [asin((3 + place) % 8) for place in range(8)]
    assert "1 of 8 items have a description without any text" in prepared.notes
    assert "--keep-empty" in prepared.commands[0]


def test_counts_stand_beside_the_paper(raw: Path):
    counts = {count.what: (count.ours, count.paper) for count in made(raw)[0].counts}
    assert counts == {
        "items": (8, 12_101), "users": (8, 22_363), "interactions": (64, None), "of these in train": (48, None),
        "pairs to learn from with --samples 5": (40, 111_815), "dev items": (8, 22_363), "test items": (8, 22_363),
    }  # fmt: skip


def test_a_product_that_would_run_is_read_as_text_or_refused(raw: Path, tmp_path: Path):
    lines = [repr(record) for record in metadata()]
    lines[3] = "{'asin': __import__('os').system('touch " + str(tmp_path / "ran") + "')}"
    put(raw / "meta_Beauty.json.gz", "\n".join(lines))
    with pytest.raises(InputError, match=r"meta_Beauty.json.gz, line 4: broken JSON"):
        made(raw)
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "out").exists()


def test_users_and_items_with_few_reviews_fall_out_and_unknown_ones_stay(raw: Path):
    rare = [reviews()[0] | {"reviewerID": "ARARE", "asin": asin(n), "unixReviewTime": START + n} for n in range(4)]
    unknown = [
        reviews()[0] | {"reviewerID": reviewer(n), "asin": "BNODESCR", "unixReviewTime": START} for n in range(5)
    ]
    write_amazon(raw, [*reviews(), *rare, *unknown])
    prepared, items, sequences = made(raw)
    assert "ARARE" not in sequences
    assert items["BNODESCR"] == {"id": "BNODESCR", "title": "", "brand": "", "description": "", "features": ""}
    assert "1 of 9 items have no description (the first: 'BNODESCR')" in prepared.notes
    assert "ARARE" in made_again(raw, core=0)[2]


def made_again(raw: Path, **options: Any) -> Any:
    (raw.parent / "out").rename(raw.parent / f"out-{len(list(raw.parent.iterdir()))}")
    return made(raw, **options)


def test_reviews_and_products_that_stand_twice_count_once(raw: Path):
    write_amazon(raw, [*reviews(), *reviews()[:7]])
    again = metadata()[4] | {"title": "another title"}
    put(raw / "meta_Beauty.json.gz", lines_of([*metadata(), again, again | {"asin": "BOTHER"}], repr))
    prepared, items, sequences = made(raw)
    assert {len(taken) for taken in sequences.values()} == {8}
    assert items[asin(4)]["title"] == "storm lamp 4"
    assert [note for note in prepared.notes if "again" not in note][:3] == [
        "7 of 71 events stand twice (one user, item and time) and are left out",
        "1 items are described twice: the first description is taken",
        "1 described items were taken by none of the users that are kept, and are left out",
    ]


def test_the_reviews_of_one_day_are_not_in_the_order_of_their_asins(raw: Path):
    """As the file has them: by day, and on a day by ASIN."""
    days = [review | {"unixReviewTime": START + int(review["asin"][1:]) // 4 * DAY} for review in reviews(users=40)]
    days.sort(key=lambda review: (review["unixReviewTime"], review["asin"]))
    write_amazon(raw, days)
    rising = {
        ties: sum(taken[-1] > taken[-2] for taken in made_by(raw, ties).values()) for ties in ("file", "shuffled")
    }
    assert rising["file"] == 40
    assert 10 < rising["shuffled"] < 30


def made_by(raw: Path, ties: str) -> dict[str, list[str]]:
    sequences = made(raw, ties=ties)[2]
    (raw.parent / "out").rename(raw.parent / ties)
    return sequences


FIRST = ["--", asin(0)]


@pytest.mark.parametrize("item_first", [False, True])
def test_ratings_have_the_user_first_or_the_product(item_first: bool, raw: Path):
    """2014 and 2018; no header tells which."""
    expected = made(raw)[2]
    (raw / "reviews_Beauty_5.json.gz").unlink()
    pairs = [(r["reviewerID"], r["asin"]) for r in reviews()]
    times = [r["unixReviewTime"] for r in reviews()]
    rows = [
        f"{','.join(pair[::-1] if item_first else pair)},5.0,{time}\n" for pair, time in zip(pairs, times, strict=True)
    ]
    put(raw / ("Beauty.csv" if item_first else "ratings_Beauty.csv"), "".join(rows))
    prepared, _, sequences = made_again(raw)
    assert sequences == expected
    assert (prepared.counts[0].paper is None) == item_first, "2018's Beauty is not the paper's"


def test_ratings_with_a_header_and_unclear_ones(raw: Path):
    (raw / "reviews_Beauty_5.json.gz").unlink()
    rows = "".join(f"{r['reviewerID']},{r['asin']},5.0,{r['unixReviewTime']}\n" for r in reviews())
    put(raw / "Beauty.csv", "user_id,parent_asin,rating,timestamp\n" + rows)
    assert len(made(raw)[2]) == 8
    put(raw / "Beauty.csv", "ABCDEFGHIJ,B000000000,5.0,1372636800\n")
    with pytest.raises(InputError, match=r"does not tell which column is the product.*put a header in"):
        made_again(raw)
    put(raw / "Beauty.csv", rows + f"{reviewer(0)},{asin(0)},5.0\n")
    with pytest.raises(InputError, match=r"Beauty.csv, line 65: there are not 4 fields"):
        made(raw)
    put(raw / "Beauty.csv", rows + f"{reviewer(0)},{asin(0)},5.0,soon\n")
    with pytest.raises(InputError, match=r"Beauty.csv, line 65: there is no product and time"):
        made(raw)


def test_products_of_2018_and_2023_have_other_names(tmp_path: Path):
    raw = tmp_path / "raw"
    lines = [{"user_id": r["reviewerID"], "asin": "BVARIANT", "parent_asin": r["asin"], "rating": 5.0,
              "timestamp": r["unixReviewTime"] * 1000} for r in reviews()]  # fmt: skip
    put(raw / "All_Beauty.jsonl.gz", lines_of(lines))
    products = [{"parent_asin": asin(n), "main_category": "All Beauty", "title": f"t{n}", "store": "Acme",
                 "description": ["one", "two"], "features": ["f"], "categories": ["Beauty", "Nails"], "price": None}
                for n in range(8)]  # fmt: skip
    products[3] |= {"categories": [], "description": [], "store": None}
    put(raw / "meta_All_Beauty.jsonl.gz", lines_of(products))
    _, items, sequences = made(raw)
    assert items[asin(0)] == {
        "id": asin(0), "title": "t0", "brand": "Acme", "description": ["one", "two"], "features": ["f"],
        "categories": [["Beauty", "Nails"]],
    }  # fmt: skip
    assert (items[asin(3)]["categories"], items[asin(3)]["brand"]) == ([], "")
    assert sequences[reviewer(0)] == [asin(n) for n in range(8)]
    of_2018 = {"asin": asin(0), "title": "t", "feature": ["x"], "category": ["Beauty", "Skin"], "brand": "B"}
    put(raw / "meta_All_Beauty.jsonl.gz", lines_of([of_2018]))
    item = made_again(raw)[1][asin(0)]
    assert (item["features"], item["categories"]) == (["x"], [["Beauty", "Skin"]])


def test_one_of_several_categories_is_named(raw: Path):
    write_amazon(raw, name="Toys_and_Games")
    with pytest.raises(InputError, match=r"has several categories; choose one with --name Beauty or Toys_and_Games"):
        made(raw)
    with pytest.raises(InputError, match=r"has no meta_Sports_and_Outdoors.json.gz; choose one with --name Beauty or"):
        made(raw, name="sports")
    assert {count.paper for count in made(raw, name="toys")[0].counts} >= {11_924, 19_412, 97_060}


def test_what_is_missing_or_cut_off_is_named(raw: Path, tmp_path: Path):
    products = (raw / "meta_Beauty.json.gz").read_bytes()
    put(raw / "meta_Beauty.json.gz", "")
    with pytest.raises(InputError, match=r"none of 8 items that users took is described .the first: 'B000000000'"):
        made(raw)
    (raw / "meta_Beauty.json.gz").write_bytes(products)
    whole = (raw / "reviews_Beauty_5.json.gz").read_bytes()
    (raw / "reviews_Beauty_5.json.gz").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"reviews_Beauty_5.json.gz is not a whole gzip file"):
        made(raw)
    text = gzip.decompress(whole)
    put(raw / "reviews_Beauty_5.json.gz", text[:-40])
    with pytest.raises(InputError, match=r"reviews_Beauty_5.json.gz, line 64: broken JSON"):
        made(raw)
    (raw / "reviews_Beauty_5.json.gz").unlink()
    with pytest.raises(InputError, match=r"has no reviews_Beauty_5.json or .*: in it are meta_Beauty.json.gz; put the"):
        made(raw)
    (raw / "meta_Beauty.json.gz").unlink()
    with pytest.raises(InputError, match=r"has no meta_\*.json or .*: it is empty; put the published file there"):
        made(raw)
    with pytest.raises(InputError, match=r"nowhere is no folder; name the one with the published files"):
        made(tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["raw"], "nothing half-written is left"
