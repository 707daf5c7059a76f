import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmindexer.corpus.cells import MISSING
from lmindexer.corpus.document import MAX_CHARACTERS
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError

RECORDS = [
    {"id": "a", "title": "Red nail polish", "brand": "OPI", "label": "Beauty > Nails"},
    {"id": "b", "title": 'Said "gloss", twice\non two lines', "brand": "", "label": "Beauty"},
    {"id": "c", "title": "Crème solaire", "brand": "L'Oréal", "label": ""},
]


def write_jsonl(path: Path, records: list[dict]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_csv(path: Path, records: list[dict]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(records[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(records)
    return path


def write_parquet(path: Path, records: list[dict]) -> Path:
    pq.write_table(pa.Table.from_pylist(records), path)
    return path


def compressed(path: Path) -> Path:
    target = path.with_name(path.name + ".gz")
    target.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    return target


def shards(folder: Path) -> Path:
    folder.mkdir()
    write_jsonl(folder / "part-0.jsonl", RECORDS[:1])
    write_csv(folder / "part-1.csv", RECORDS[1:2])
    write_parquet(folder / "part-2.parquet", RECORDS[2:])
    (folder / ".part-3.jsonl").write_text("hidden")
    (folder / "_SUCCESS").touch()
    return folder


WRITERS: dict[str, Callable[[Path], Path]] = {
    "jsonl": lambda folder: write_jsonl(folder / "a.jsonl", RECORDS),
    "ndjson": lambda folder: write_jsonl(folder / "a.ndjson", RECORDS),
    "jsonl.gz": lambda folder: compressed(write_jsonl(folder / "a.jsonl", RECORDS)),
    "csv": lambda folder: write_csv(folder / "a.csv", RECORDS),
    "csv.gz": lambda folder: compressed(write_csv(folder / "a.csv", RECORDS)),
    "tsv": lambda folder: write_csv(folder / "a.tsv", RECORDS),
    "parquet": lambda folder: write_parquet(folder / "a.parquet", RECORDS),
    "folder": lambda folder: shards(folder / "shards"),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_file_gives_the_same_corpus(kind: str, tmp_path: Path):
    corpus = Corpus.read(WRITERS[kind](tmp_path), text=["title", "brand"], label="label")
    assert list(corpus) == [
        Document("a", "Red nail polish OPI", ("Beauty", "Nails")),
        Document("b", 'Said "gloss", twice on two lines', ("Beauty",)),
        Document("c", "Crème solaire L'Oréal", ()),
    ]
    assert corpus.fingerprint == Corpus.from_documents(corpus).fingerprint
    assert corpus.skipped == 0


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_byte_order_mark_is_no_part_of_the_file(kind: str, tmp_path: Path):
    path = WRITERS[kind](tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert Corpus.read(path).doc_ids == ("a", "b", "c")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    texts=st.lists(
        st.text().filter(
            lambda text: text.replace("\0", " ").strip() and text.strip() not in MISSING and "[" not in text
        ),
        min_size=1,
        max_size=8,
    ),
    size=st.integers(1, 5),
)
def test_reading_back_what_was_written(texts: list[str], size: int, tmp_path: Path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": n, "text": text} for n, text in enumerate(texts)])
    corpus = Corpus.read(path, keep_markup=True)
    assert len(corpus) == len(texts)
    assert corpus.texts() == [" ".join(text.replace("\0", " ").split()) for text in texts]
    assert [text for batch in corpus.text_batches(size) for text in batch] == corpus.texts()
    assert all(len(batch) <= size for batch in corpus.text_batches(size))
    for row, id in enumerate(corpus.doc_ids):
        assert corpus.row_of[id] == row
        assert corpus[row] == Document(id, corpus.texts([row])[0])
    assert corpus.labels is None


def test_a_lone_surrogate_does_not_stop_the_reading(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text('{"id": "a", "text": "half \\ud83d an emoji"}\n')
    assert Corpus.read(tmp_path / "a.jsonl").texts() == ["half \ufffd an emoji"]


def test_negative_rows_and_rows_beyond_the_end():
    corpus = Corpus.from_documents([Document("a", "one"), Document("b", "two")])
    assert corpus[-1].id == "b"
    with pytest.raises(IndexError):
        corpus[2]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ()),
        ("", ()),
        ("Skin care", ("Skin care",)),
        ("a/b", ("a/b",)),
        ("a > b>c > d", ("a", "b", "c", "d")),
        (["Beauty", "Makeup"], ("Beauty", "Makeup")),
        ([["Beauty", "Makeup"], ["Gifts"]], ("Beauty", "Makeup")),
        ([], ()),
        (7, ("7",)),
    ],
)
def test_forms_of_a_label(value: object, path: tuple[str, ...], tmp_path: Path):
    records = [{"id": 1, "text": "one", "label": value}, {"id": 2, "text": "two", "label": "x"}]
    corpus = Corpus.read(write_jsonl(tmp_path / "a.jsonl", records), label="label")
    assert corpus.labels == [path, ("x",)]


def test_unnamed_columns_are_the_usual_ones(tmp_path: Path):
    record = {
        "_id": 7,
        "asin": "B0",
        "text": "the text",
        "title": "a title",
        "abstract": None,
        "body": ["x", "y"],
    }
    corpus = Corpus.read(write_jsonl(tmp_path / "a.jsonl", [record]))
    assert list(corpus) == [Document("7", "a title the text x y")]


def test_numbers_as_ids_stay_as_written(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id,text\n007,bond\n1.0,one\n")
    assert Corpus.read(tmp_path / "a.csv").doc_ids == ("007", "1.0")
    write_parquet(tmp_path / "a.parquet", [{"id": 2**60, "text": "big"}])
    assert Corpus.read(tmp_path / "a.parquet").doc_ids == (str(2**60),)


def test_fingerprint_depends_on_ids_texts_and_order():
    documents = [Document("a", "bc"), Document("ab", "c")]
    prints = {
        Corpus.from_documents(variant).fingerprint
        for variant in (documents, documents[::-1], documents[:1], [Document("a", "b"), Document("ab", "c")])
    }
    assert len(prints) == 4
    assert Corpus.from_documents(documents).fingerprint == Corpus.from_documents(iter(documents)).fingerprint


# A fault of one record: told with file and line, or skipped and counted.

GOOD = b'{"id": "a", "text": "fine"}\n'
BAD_RECORDS = {
    "broken JSON": (b'{"id": "b", "text": \n', ["broken JSON"]),
    "not a JSON object": (b'["b", "text"]\n', ["list", "object"]),
    "no id": (b'{"text": "b"}\n', ["no id", "'id'"]),
    "no text": (b'{"id": "b", "text": ""}\n', ["no text", "'text'"]),
    "only white space": (b'{"id": "b", "text": " \\n "}\n', ["white space", "'text'"]),
    "duplicate id": (b'{"id": "a", "text": "again"}\n', ["'a'", "line 1"]),
    "not UTF-8": (b'{"id": "b", "text": "caf\xe9"}\n', ["UTF-8", "byte 25"]),
    "text too long": (
        b'{"id": "b", "text": "%s"}\n' % (b"word " * 1_000_000),
        ["4,999,999", "1,000,000", "split"],
    ),
    "not text": (b'{"id": "b", "text": {"en": "b"}}\n', ["'text'", "object"]),
}


@pytest.mark.parametrize("reason", BAD_RECORDS)
def test_a_bad_record_is_named_or_skipped(reason: str, tmp_path: Path):
    line, parts = BAD_RECORDS[reason]
    path = tmp_path / "docs.jsonl"
    path.write_bytes(GOOD + b"\n" + line + GOOD.replace(b'"a"', b'"c"'))
    with pytest.raises(InputError) as error:
        Corpus.read(path)
    for part in ["docs.jsonl, line 3", "--skip-bad", *parts]:
        assert part in str(error.value)
    corpus = Corpus.read(path, skip_bad=True)
    assert (corpus.doc_ids, corpus.skipped_reasons, corpus.skipped) == (("a", "c"), {reason: 1}, 1)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"id": ' + b"1" * 5000 + b"}", b"\xff\xfe{", b"nonsense"])
def test_json_that_python_refuses(line: bytes, tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(GOOD + line)
    with pytest.raises(InputError, match="line 2"):
        Corpus.read(tmp_path / "a.jsonl")


BAD_ROWS = {
    "wrong number of fields": (b"b,one,two\n", ["3 fields", "header has 2"]),
    "not UTF-8": (b"b,caf\xe9\n", ["UTF-8", "byte 6"]),
    "broken quotes": (b'b,"one" two, three\n', ["quotes"]),
    "no id": (b",one\n", ["no id"]),
    "text too long": (b"b," + b"word " * 1_000_000 + b"\n", ["4,999,999", "split"]),
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_bad_row_is_named_or_skipped(reason: str, tmp_path: Path):
    row, parts = BAD_ROWS[reason]
    path = tmp_path / "docs.csv"
    path.write_bytes(b'id,text\na,"two\nlines"\n' + row + b"c,three\n")
    with pytest.raises(InputError) as error:
        Corpus.read(path)
    for part in ["docs.csv, line 4", "--skip-bad", *parts]:
        assert part in str(error.value)
    corpus = Corpus.read(path, skip_bad=True)
    assert (corpus.doc_ids, corpus.skipped_reasons) == (("a", "c"), {reason: 1})


def test_a_bad_parquet_row_is_named_or_skipped(tmp_path: Path):
    not_utf8 = pa.array([b"one", b"caf\xe9", b"three"]).view(pa.string())
    pq.write_table(pa.table({"id": ["a", "b", "c"], "text": not_utf8}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet, row 2: .*UTF-8"):
        Corpus.read(tmp_path / "a.parquet")
    assert Corpus.read(tmp_path / "a.parquet", skip_bad=True).doc_ids == ("a", "c")


def test_a_duplicate_names_both_files(tmp_path: Path):
    write_jsonl(tmp_path / "1.jsonl", RECORDS)
    write_parquet(tmp_path / "2.parquet", [RECORDS[1] | {"title": "another"}])
    with pytest.raises(InputError, match=r"2\.parquet, row 1: .*'b'.*1\.jsonl, line 2"):
        Corpus.read([tmp_path / "1.jsonl", str(tmp_path / "2.parquet")])


def test_when_everything_was_skipped(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text("one\ntwo\n")
    with pytest.raises(InputError, match=r"a\.jsonl was skipped \(2 x broken JSON\)"):
        Corpus.read(tmp_path / "a.jsonl", skip_bad=True)


# A fault of the whole file: told, whether or not bad records are skipped.

BAD_FILES: dict[str, tuple[str, bytes | None, dict, list[str]]] = {
    "missing": ("a.jsonl", None, {}, ["does not exist"]),
    "empty": ("a.jsonl", b"", {}, ["no documents"]),
    "blank": ("a.jsonl", b"\n \n", {}, ["no documents"]),
    "empty table": ("a.csv", b"", {}, ["no documents"]),
    "only a header": ("a.csv", b"id,text\n", {}, ["no documents"]),
    "kind": ("a.docx", b"x", {}, [".jsonl", ".csv", ".parquet"]),
    "zipped Parquet": ("a.parquet.gz", b"x", {}, ["unknown", ".parquet"]),
    "id column": ("a.jsonl", GOOD, {"id": "key"}, ["'key'", "'id', 'text'"]),
    "text column": ("a.csv", b"id,text\na,b\n", {"text": ["text", "titel"]}, ["'titel'", "'id', 'text'"]),
    "one text column": ("a.csv", b"id,text\na,b\n", {"text": "titel"}, ["'titel'", "'id', 'text'"]),
    "label column": ("a.jsonl", GOOD, {"label": "kind"}, ["'kind'", "'id', 'text'"]),
    "no usual id": ("a.jsonl", b'{"key": "a", "text": "b"}\n', {}, ["--id", "'key', 'text'"]),
    "no usual text": ("a.jsonl", b'{"id": "a", "text": 7, "name": "b"}\n', {}, ["--text", "'name'"]),
    "two columns of a name": ("a.csv", b"id,text,text\na,b,c\n", {}, ["two columns", "'text'"]),
    "not gzip": ("a.jsonl.gz", GOOD, {}, ["gzip"]),
    "half a gzip": ("a.jsonl.gz", gzip.compress(GOOD * 1000)[:-20], {}, ["gzip"]),
    "not Parquet": ("a.parquet", b"PAR1 and no more", {}, ["Parquet"]),
}


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_named(name: str, skip_bad: bool, tmp_path: Path):
    filename, content, options, parts = BAD_FILES[name]
    if content is not None:
        (tmp_path / filename).write_bytes(content)
    with pytest.raises(InputError) as error:
        Corpus.read(tmp_path / filename, skip_bad=skip_bad, **options)
    for part in [filename, *parts]:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_parquet_columns_and_pages_are_checked(tmp_path: Path):
    path = write_parquet(tmp_path / "a.parquet", RECORDS)
    with pytest.raises(InputError, match=r"'titel'.*'id', 'title', 'brand', 'label'"):
        Corpus.read(path, text=["titel"])
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)  # the footer is whole, the first page is not
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet is not a whole Parquet file"):
        Corpus.read(path, skip_bad=True)


def test_the_columns_of_every_file_are_checked(tmp_path: Path):
    write_jsonl(tmp_path / "1.jsonl", RECORDS[:1])
    write_jsonl(tmp_path / "2.jsonl", [{"id": "b", "name": "x"}])
    with pytest.raises(InputError, match=r"2\.jsonl has no column 'title'"):
        Corpus.read(tmp_path, text=["title"])


def test_a_field_that_only_some_records_have_is_a_column(tmp_path: Path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": 1, "title": "x"}, {"id": 2, "title": "y", "brand": "z"}])
    assert Corpus.read(path, text=["title", "brand"]).texts() == ["x", "y z"]


def test_a_folder_without_a_usable_file(tmp_path: Path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"has no file that ends in \.jsonl"):
        Corpus.read(tmp_path)
    with pytest.raises(InputError, match="no file to read"):
        Corpus.read([])


def test_documents_made_in_python_are_checked_too():
    with pytest.raises(InputError, match="documents 0 and 2 share the id 'a'"):
        Corpus.from_documents([Document("a", "x"), Document("b", "y"), Document("a", "z")])
    with pytest.raises(InputError, match=r"document 0 \('a'\).*white space"):
        Corpus.from_documents([Document("a", " \n")])
    with pytest.raises(InputError, match=f"more than {MAX_CHARACTERS:,}"):
        Corpus.from_documents([Document("a", "x" * (MAX_CHARACTERS + 1))])
    with pytest.raises(InputError, match="at least one document"):
        Corpus.from_documents([])


def test_texts_live_in_a_file_not_in_memory(tmp_path: Path):
    before = pa.total_allocated_bytes()
    corpus = Corpus.from_documents(Document(str(n), "word " * 2000) for n in range(3000))  # 30 MB
    assert pa.total_allocated_bytes() - before < 1_000_000
    assert len(corpus) == 3000


def test_a_text_is_no_list_of_documents():
    with pytest.raises(InputError, match=r"a corpus is made of Documents, not of 's'; give Document\(id, text\)"):
        Corpus.from_documents("some text")  # type: ignore[arg-type]


def test_one_name_is_one_column_and_one_label_one_level(tmp_path: Path):
    (tmp_path / "items.jsonl").write_text('{"id": "1", "title": "rose", "t": "wrong"}\n')
    assert Corpus.read(tmp_path / "items.jsonl", text="title").texts() == ["rose"]
    assert Corpus.from_documents([Document("1", "rose", "Garden")]).labels == [("Garden",)]  # type: ignore[arg-type]


def test_documents_with_vectors_need_no_text(tmp_path: Path):
    path = write_jsonl(tmp_path / "items.jsonl", [{"id": "a", "kind": "x"}, {"id": "b", "kind": "y"}])
    with pytest.raises(InputError, match="none of the usual text columns"):
        Corpus.read(path, keep_empty=True)
    corpus = Corpus.read(path, label="kind", textless=True)
    assert [(d.id, d.text, d.label) for d in corpus] == [("a", "", ("x",)), ("b", "", ("y",))]
    assert corpus.notes == ("no column is read as text; name some with --text to see words in reports and trees",)
    assert Corpus.read(path, like=corpus.fields, textless=True).notes == ()
    assert Corpus.read(path, text=("kind",), textless=True).texts() == ["x", "y"]
    later = write_jsonl(tmp_path / "later.jsonl", [{"id": "c", "name": "z"}])
    with_text = Corpus.read(path, text=("kind",))
    with pytest.raises(InputError, match="has no column 'kind'"):
        Corpus.read(later, like=with_text.fields)
    assert Corpus.read(later, like=with_text.fields, textless=True).texts() == [""]


def test_each_document_knows_its_record(tmp_path: Path):
    first = write_jsonl(
        tmp_path / "1.jsonl", [{"id": "a", "text": "x"}, {"id": "a", "text": "x"}, {"id": "", "text": ""}]
    )
    second = write_jsonl(tmp_path / "2.jsonl", [{"id": "b", "text": "y"}])
    corpus = Corpus.read([first, second], skip_bad=True)
    assert (corpus.records, list(corpus.record_of)) == (4, [0, 3])
    assert list(Corpus.from_documents(corpus).record_of) == [0, 1]


def test_a_parquet_file_with_a_column_of_no_name_is_refused(tmp_path: Path):
    path = write_parquet(tmp_path / "items.parquet", [{"id": "a", "titles": "x"}])
    path.write_bytes(path.read_bytes().replace(b"titles", b"\xa4itles"))
    with pytest.raises(InputError, match="is not a whole Parquet file"):
        Corpus.read(path)
