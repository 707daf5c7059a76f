"""CSV and TSV: no row is lost to a quote that was never meant as one, and none is made of several."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.corpus.readers import READERS
from lmindexer.errors import InputError

KITES = [f"kite {n} of wood" for n in range(40)]
many = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def table(path: Path, rows: list[str], header: str = "id,title") -> Path:
    mark = "\t" if path.name.endswith(".tsv") else ","
    lines = [header.replace(",", mark), *(f"{n}{mark}{row}" for n, row in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize(
    "quoted",
    [
        {5: '"Windy kite'},  # never closed
        {5: '"Windy kite', 25: 'ruler 12" long'},  # closed in the middle of a field
        {5: '"Windy kite', 20: 'kite string 12"'},  # closed at the end of one: 24 well-formed rows, 15 of them lost
        {5: '"Windy kite', 20: 'kite 12"', 21: '"Rain', 30: 'wind"', 38: '"open'},
        {0: '"Windy kite', 39: '12"'},
    ],
)
def test_a_stray_quote_takes_no_other_row(name: str, quoted: dict[int, str], tmp_path: Path):
    rows = [quoted.get(n, kite) for n, kite in enumerate(KITES)]
    corpus = Corpus.read(table(tmp_path / name, rows))
    assert corpus.texts() == rows
    assert corpus.skipped == 0
    assert any("quotes that are none of CSV's" in note and f"line {min(quoted) + 2}" in note for note in corpus.notes)


def test_a_stray_quote_that_makes_no_row_is_one_bad_record(tmp_path: Path):
    rows = ['"Windy, kite' if n == 5 else kite for n, kite in enumerate(KITES)]
    path = table(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match=r"a\.csv, line 7: this is not a row .*quotes"):
        Corpus.read(path)
    corpus = Corpus.read(path, skip_bad=True)
    assert (len(corpus), corpus.skipped_reasons) == (39, {"broken quotes": 1})


def test_a_quoted_separator_parts_no_field(tmp_path: Path):
    (tmp_path / "a.csv").write_text('id,title,more\n1,"red, blue" kite\n2,green,kite\n')
    with pytest.raises(InputError, match="line 2: this is not a row"):
        Corpus.read(tmp_path / "a.csv")


def test_most_lines_need_to_be_rows(tmp_path: Path):
    rows = ["kite", '"Windy', "kite", "one, two", 'kite 12"', "kite"]
    corpus = Corpus.read(table(tmp_path / "a.csv", rows), skip_bad=True)
    assert corpus.doc_ids == ("0", "1", "2", "4", "5")
    assert corpus.skipped_reasons == {"wrong number of fields": 1}


def test_a_field_over_many_lines_is_kept_and_told(tmp_path: Path):
    poem = "\n".join(f"line {n}, of a poem" for n in range(30))
    (tmp_path / "a.csv").write_text(f'id,title\n1,red kite\n2,"{poem}"\n3,"two\nlines"\n')
    corpus = Corpus.read(tmp_path / "a.csv")
    assert corpus.texts() == ["red kite", " ".join(poem.split()), "two lines"]
    assert any("over more than 10 lines (the longest: 30 lines from line 3)" in note for note in corpus.notes)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (r'"6\" ruler, wood"', '6" ruler, wood'),  # escaped as C does
        (' "red, kite"', "red, kite"),  # a space after the comma
        ('6" ruler', '6" ruler'),
        ('blue "nice" kite', 'blue "nice" kite'),
        ('"nice" kite', '"nice" kite'),
        ('"a ""nice"" kite"', 'a "nice" kite'),
    ],
)
def test_other_ways_to_quote(row: str, text: str, tmp_path: Path):
    assert Corpus.read(table(tmp_path / "a.csv", ["before", row, "after"])).texts() == ["before", text, "after"]


def test_the_header_once_more_is_no_document(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id,title\n1,red\nid,title\n2,blue\n")
    corpus = Corpus.read(tmp_path / "a.csv")
    assert corpus.doc_ids == ("1", "2")
    assert any("header stands again in 1 lines" in note and "line 3" in note for note in corpus.notes)


@pytest.mark.parametrize("name", ["collection.tsv", "a.csv"])
def test_a_first_line_that_is_no_header_is_refused(name: str, tmp_path: Path):
    mark = "\t" if name.endswith("tsv") else ","
    path = tmp_path / name
    path.write_text(f"0{mark}The presence of success\n1{mark}The second passage\n")
    for options in ({}, {"id": "0", "text": ["The presence of success"]}):
        with pytest.raises(InputError, match=r"the first line of .* is no header \('0', 'The presence of success'\)"):
            Corpus.read(path, **options)
    path.write_text(f"0{mark}1\n7{mark}red\n")  # columns that are called by numbers
    assert list(Corpus.read(path, id="0", text=["1"])) == [Document("7", "red")]


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.csv", b'"ISBN";"Book-Title"\n"01";"Kites"\n', "by ';', not by commas"),
        ("a.csv", b"id;title\n1;kite\n", "by ';', not by commas"),
        ("a.csv", b"id\ttitle\n1\tkite\n", "by tabs, not by commas"),
        ("a.tsv", b"id,title\n1,kite\n", "by commas, not by tabs"),
        ("a.csv", b"1::Kite (1995)::Comedy|War\n", "by '::', not by commas"),
        ("u.item", b"1|Kite (1995)|x\n", "by '|', not by tabs"),
        ("a.csv", "id,title\n1,é\n".encode("utf-16"), "is UTF-16, not UTF-8; convert it with iconv -f UTF-16"),
        ("a.csv", "id,title\n1,é kite\n".encode("utf-16-le"), "is UTF-16LE, not UTF-8"),
        ("a.jsonl", b"\x1f\x8b\x08 and more", "gzip-compressed; let its name end in .gz"),
        ("a.json", b"<!DOCTYPE html><html>", "an HTML page, so perhaps a failed download"),
        ("a.xlsx", b"PK\x03\x04", "is a spreadsheet; save it as CSV"),
        ("a.pkl", b"\x80\x04", "is a pickle, which can run any code"),
    ],
)
def test_the_true_cause_is_told(name: str, content: bytes, cause: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        Corpus.read(tmp_path / name, skip_bad=True)
    assert cause in str(error.value)
    assert len(str(error.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_lines_that_end_in_cr_are_lines(name: str, tmp_path: Path):
    rows = {"a.csv": "id,title\r1,red\r2,blue\r", "a.jsonl": '{"id": 1, "title": "red"}\r{"id": 2, "title": "blue"}\r'}
    (tmp_path / name).write_bytes(rows[name].encode())
    assert list(Corpus.read(tmp_path / name)) == [Document("1", "red"), Document("2", "blue")]


@pytest.mark.parametrize("name", ["toy.item", "toy.item.tsv"])
def test_typed_headers_of_recbole(name: str, tmp_path: Path):
    (tmp_path / name).write_text('item_id:token\ttitle:token_seq\tprice:float\nA1\tred kite\t3.5\nA2\t"Big" kite\t\n')
    assert list(Corpus.read(tmp_path / name)) == [Document("A1", "red kite"), Document("A2", '"Big" kite')]


@many
@given(rows=st.lists(st.text('ab" \\', min_size=1, max_size=6), min_size=1, max_size=12), name=st.sampled_from("ct"))
def test_every_line_is_one_record(rows: list[str], name: str, tmp_path: Path):
    path = table(tmp_path / f"a.{name}sv", rows)
    assert READERS[path.suffix].survey(path).records == len(rows)
    numbers = [number for number, _ in READERS[path.suffix].records(path, ())]
    assert numbers == list(range(2, len(rows) + 2))


@many
@given(
    rows=st.lists(st.lists(st.text('xy", \n', max_size=8), min_size=2, max_size=2), min_size=1, max_size=8),
    name=st.sampled_from("ct"),
)
def test_what_csv_wrote_is_read_back(rows: list[list[str]], name: str, tmp_path: Path):
    path = tmp_path / f"a.{name}sv"
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter="\t" if name == "t" else ",")
    writer.writerow(["id", "title", "more"])
    writer.writerows([f"item{n}", *row] for n, row in enumerate(rows))
    path.write_bytes(buffer.getvalue().encode())
    found = [record for _, record in READERS[path.suffix].records(path, ())]
    assert [(record["title"], record["more"]) for record in found] == [tuple(row) for row in rows]
