"""Catalogues as they are found: nothing lost, nothing made up, and what was changed on the way is told."""

import bz2
import gzip
import json
import lzma
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.corpus.fields import Fields
from lmindexer.corpus.readers import READERS, Reader
from lmindexer.errors import InputError

ITEMS = [{"asin": f"B{n}", "title": f"kite {n}", "categories": [["Toys", "Kites"]]} for n in range(5)]
KITES = [Document(f"B{n}", f"kite {n}", ("Toys", "Kites")) for n in range(5)]


def jsonl(path: Path, *records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def told(corpus: Corpus, part: str) -> bool:
    return any(part in note for note in corpus.notes)


# Forms of JSON

FORMS = {
    "lines": "".join(json.dumps(item) + "\n" for item in ITEMS),
    "Python literals": "".join(f"{item}\n" for item in ITEMS),
    "Python 2 literals": "".join(str(item).replace(" '", " u'") + "\n" for item in ITEMS),
    "an array": json.dumps(ITEMS),
    "an array over many lines": json.dumps(ITEMS, indent=2),
    "an array, one item a line": "[\n" + ",\n".join(map(json.dumps, ITEMS)) + "\n]\n",
    "objects over many lines": "\n".join(json.dumps(item, indent=2) for item in ITEMS),
    "id: record": json.dumps({item["asin"]: {k: v for k, v in item.items() if k != "asin"} for item in ITEMS}),
    "id: record over many lines": json.dumps({item["asin"]: item for item in ITEMS}, indent=1),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_json(form: str, tmp_path: Path):
    (tmp_path / "a.json").write_text(FORMS[form])
    corpus = Corpus.read(tmp_path / "a.json", label="categories")
    assert list(corpus) == KITES
    assert told(corpus, "5 lines of") == ("Python" in form)


def test_an_array_is_read_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lmindexer.corpus.json_records._CHUNK", 7)
    for form in ("an array", "an array over many lines"):
        (tmp_path / "a.json").write_text(FORMS[form].replace("kite", "kit\\u00e9 é"))
        monkeypatch.setattr("lmindexer.corpus.json_records.layout", lambda path: "array")
        assert Corpus.read(tmp_path / "a.json").texts() == [f"kité é {n}" for n in range(5)]
    (tmp_path / "a.json").write_text('[{"id": 1, "title": "a"}, 12345678901234567890, {"id": 2, "title": "b"}]')
    assert Corpus.read(tmp_path / "a.json", skip_bad=True).texts() == ["a", "b"]  # a number is not cut at a chunk's end


def test_python_literals_are_never_run(tmp_path: Path):
    mark = tmp_path / "ran"
    (tmp_path / "a.json").write_text(f"{{'id': 1, 'title': open({str(mark)!r}, 'w')}}\n")
    with pytest.raises(InputError, match=r"line 1: broken JSON .neither JSON nor a Python literal"):
        Corpus.read(tmp_path / "a.json")
    assert not mark.exists()
    for deep in ("[" * 5000 + "]" * 5000, "[" * 150 + "]" * 150, "-" * 500_000 + "1", "(" * 90 + ")" * 90):
        (tmp_path / "a.json").write_text(f"{{'id': 1, 'title': {deep}}}\n")
        with pytest.raises(InputError, match=r"line 1: |none of the usual text columns"):
            Corpus.read(tmp_path / "a.json")


@pytest.mark.parametrize("depth", [40, 60, 400, 900, 990, 5000])
def test_lists_within_lists_are_bounded(depth: int, tmp_path: Path):
    deep = "[" * depth + '"kite"' + "]" * depth
    (tmp_path / "a.jsonl").write_text(f'{{"id": 1, "title": "red", "kind": {deep}, "text": {deep}}}\n')
    if depth == 40:
        assert Corpus.read(tmp_path / "a.jsonl").texts() == ["red kite"]
        return
    for options in ({"label": "kind", "text": "title"}, {"id": "kind", "text": "title"}, {"text": "text"}):
        with pytest.raises(InputError, match="line 1: "):
            Corpus.read(tmp_path / "a.jsonl", **options)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ('[{"id": 1, "title": "a"}, {"id": 2, "title": ]', "broken JSON at character 46"),
        ('[{"id": 1, "title": "a"}', "broken JSON at character 25 (a comma or ] should stand"),
        ('[{"id": 1, "title": "a"}] more', "the file goes on after its end"),
        ('{"id": 1, "title": "a"},\n', "a comma after it; leave it out"),
        ('{"id": 1, "title": "a"}{"id": 2}\n', "more after its end at character 24"),
        ('{"id": 1, "title": "a", "title": "b"}\n', "a name stands twice in it"),
        ('[{"id": 1, "title": "a"}, 7]', "record 2: a JSON int, not an object"),
    ],
)
def test_broken_json_gets_its_cause(content: str, cause: str, tmp_path: Path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError) as error:
        Corpus.read(tmp_path / "a.json")
    assert cause in str(error.value)


# Which columns


@pytest.mark.parametrize("name", ["item_id", "parent_asin", "movieId", "itemId", "ID", "product_id"])
def test_usual_names_of_ids(name: str, tmp_path: Path):
    corpus = Corpus.read(jsonl(tmp_path / "a.jsonl", {name: 7, "Title": "kite"}))
    assert list(corpus) == [Document("7", "kite")]
    assert corpus.fields == Fields(name, ("Title",))
    assert corpus.notes == ()


def test_of_two_usual_ids_one_is_taken_and_the_other_told(tmp_path: Path):
    corpus = Corpus.read(jsonl(tmp_path / "a.jsonl", {"item_id": "1", "asin": "B1", "title": "kite"}))
    assert corpus.doc_ids == ("B1",)
    assert told(corpus, "taken from 'asin', not from 'item_id'; choose with --id")


@pytest.mark.parametrize("empty", [[], None, [None], "absent"])
def test_columns_are_decided_on_all_records(empty: Any, tmp_path: Path):
    records: list[dict[str, Any]] = [{"id": n, "title": "kite", "description": empty} for n in range(1100)]
    if empty == "absent":
        records = [{"id": n, "title": "kite"} for n in range(1100)]
    path = jsonl(tmp_path / "a.jsonl", *records, {"id": "last", "title": "kite", "description": [None, "of wood"]})
    corpus = Corpus.read(path)
    assert corpus.texts([1100]) == ["kite of wood"]
    assert Corpus.read(path, text=["description"], keep_empty=True).texts([1100]) == ["of wood"]


def test_columns_are_decided_on_all_shards(tmp_path: Path):
    folder = tmp_path / "shards"
    folder.mkdir()
    jsonl(folder / "1.jsonl", {"id": 1, "title": "kite", "description": []})
    jsonl(folder / "2.jsonl", {"id": 2, "title": "kite", "description": ["of wood"]})
    corpus = Corpus.read(folder)
    assert corpus.texts() == ["kite", "kite of wood"]
    assert corpus.fields == Fields("id", ("title", "description"))


def test_a_later_file_is_read_from_the_columns_of_the_first(tmp_path: Path):
    first = Corpus.read(jsonl(tmp_path / "1.jsonl", {"asin": 1, "title": "kite", "kind": "Toys"}), label="kind")
    later = jsonl(tmp_path / "2.jsonl", {"id": "x", "asin": 2, "title": "pan", "description": "shelf 7", "kind": "K"})
    corpus = Corpus.read(later, like=first.fields)
    assert list(corpus) == [Document("2", "pan", ("K",))]
    assert told(corpus, "has 'description', too, which the run was not learned from")
    both = Fields("asin", ("title", "description"))
    corpus = Corpus.read(jsonl(tmp_path / "3.jsonl", {"asin": 3, "title": "pot"}), like=both)
    assert corpus.texts() == ["pot"]
    assert told(corpus, "has no column 'description', which the run was learned from")
    with pytest.raises(InputError, match="no column 'asin'"):
        Corpus.read(jsonl(tmp_path / "4.jsonl", {"id": 3, "title": "pot"}), like=both)
    assert Fields.from_mapping(both.to_mapping()) == both


# Labels


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("Nails>top coat", ("Nails", "top coat")),
        ("Kitchen >> tea kettle", ("Kitchen", "tea kettle")),
        ("Adventure|Comedy", ("Adventure", "Comedy")),
        ("Office | stapler", ("Office", "stapler")),
        ("Toys &gt; puzzle cube", ("Toys", "puzzle cube")),
        ("Cafes, Coffee & Tea", ("Cafes, Coffee & Tea",)),
        ("['Toys', 'kite']", ("Toys", "kite")),
        ("[['Hair Care', \"men's\"], ['Gifts']]", ("Hair Care", "men's")),
        ("['Hair Care' 'styling gel']", ("Hair Care", "styling gel")),
        ('["Toys", null, "kite"]', ("Toys", "", "kite")),
        ([None, "B"], ("", "B")),
        (["A", None], ("A",)),
        ([[], ["A", "B"]], ("A", "B")),
        (["Toys", "Kites", "</span></span>"], ("Toys", "Kites")),
        (["a>b", "c"], ("a", "b", "c")),
        ("nan", ()),
    ],
)
def test_labels_are_paths(value: Any, path: tuple[str, ...], tmp_path: Path):
    path_of = Corpus.read(jsonl(tmp_path / "a.jsonl", {"id": 1, "title": "x", "kind": value}), label="kind")[0].label
    assert path_of == path


def test_labels_that_may_have_levels_are_told(tmp_path: Path):
    labels = ["Garden / hose", "Hair Care; conditioner", "Garden - shears", "Coffee & Tea"]
    records = [{"id": n, "title": "x", "kind": label} for n, label in enumerate(labels)]
    corpus = Corpus.read(jsonl(tmp_path / "a.jsonl", *records), label="kind")
    assert corpus.labels == [(label,) for label in labels]
    assert told(corpus, "no label has levels, and 3 of 4 labels are read as one level that may be several")


# Cells


def test_words_for_nothing_are_nothing(tmp_path: Path):
    (tmp_path / "a.csv").write_text(
        "id,title,description\n1,red kite,nan\n2,None,blue\n3,green,N/A\nnan,nan town,null\n"
    )
    corpus = Corpus.read(tmp_path / "a.csv")
    assert list(corpus) == [
        Document("1", "red kite"),
        Document("2", "blue"),
        Document("3", "green"),
        Document("nan", "nan town"),
    ]
    assert told(corpus, "4 cells hold only 'nan', 'None'")
    (tmp_path / "a.csv").write_text("id,title,description\n1,nan,nan\n")
    with pytest.raises(InputError, match="line 2: there is no text in 'title', 'description'"):
        Corpus.read(tmp_path / "a.csv")
    (tmp_path / "a.jsonl").write_text(
        '{"id": 1, "title": NaN, "description": "a"}\n{"id": 2, "title": "b", "description": Infinity}\n'
    )
    assert Corpus.read(tmp_path / "a.jsonl").texts() == ["a", "b"]
    (tmp_path / "a.jsonl").write_text('{"id": NaN, "title": "a"}\n')
    with pytest.raises(InputError, match="there is no id"):
        Corpus.read(tmp_path / "a.jsonl")


def test_markup_is_undone_and_told(tmp_path: Path):
    html = "<p>Fine <b class='x'>mill</b>.<br/>Easy&nbsp;to clean.</p><script>var a = 1 < 2;</script><!-- x -->"
    records = [
        {"id": "<b>1</b>", "title": "Salt &amp; Pepper, 6&quot; &#39;big&#39; &#x41;", "text": html},
        {"id": 2, "title": "a < b > c, List<String>, AT&T, <unk>, {x: 1}",
         "text": ".a-box{color:#fff} #b .c {top: 0}"},
    ]  # fmt: skip
    path = jsonl(tmp_path / "a.jsonl", *records)
    corpus = Corpus.read(path)
    assert list(corpus) == [
        Document("<b>1</b>", "Salt & Pepper, 6\" 'big' A Fine mill . Easy to clean."),
        Document("2", "a < b > c, List<String>, AT&T, <unk>, {x: 1}"),
    ]
    assert told(corpus, "HTML tags and entities are undone in 3 cells; --keep-markup")
    kept = Corpus.read(path, keep_markup=True)
    assert kept.texts()[0].startswith("Salt &amp; Pepper")
    assert kept.fields is not None
    assert Corpus.read(path, like=kept.fields).texts() == kept.texts()


def test_a_list_written_as_text_is_its_parts(tmp_path: Path):
    records = [{"id": 1, "title": "['red kite', '']"}, {"id": 2, "title": "[S4Z17] kob"}, {"id": 3, "title": "[7]"}]
    corpus = Corpus.read(jsonl(tmp_path / "a.jsonl", *records))
    assert corpus.texts() == ["red kite", "[S4Z17] kob", "[7]"]
    assert told(corpus, "1 cells hold a list written as text")


def test_ids(tmp_path: Path):
    odd = ["a,b", "0001", "1", "é", "e\u0301", "x\u2028y", "nan", "null", "[x]", "<b>", "&amp;", "a > b"]
    records = [{"id": id, "title": "kite"} for id in odd]
    assert Corpus.read(jsonl(tmp_path / "a.jsonl", *records)).doc_ids == tuple(odd)
    (tmp_path / "a.csv").write_text("id,title\n4711.0,red\n12.0,blue\n")
    corpus = Corpus.read(tmp_path / "a.csv")
    assert corpus.doc_ids == ("4711.0", "12.0")
    assert told(corpus, "2 ids are written like 17.0")
    pq.write_table(pa.table({"item_id": [108775015.0, 2.5], "title": ["a", "b"]}), tmp_path / "a.parquet")
    assert Corpus.read(tmp_path / "a.parquet").doc_ids == ("108775015", "2.5")


def test_half_a_character_in_an_id_is_refused(tmp_path: Path):
    path = jsonl(
        tmp_path / "a.jsonl", {"id": "a\ud83d", "title": "x"}, {"id": "b", "title": "y"}, {"id": "c", "title": "z"}
    )
    with pytest.raises(InputError, match=r"line 1: the id 'a\\ud83d' holds half a character"):
        Corpus.read(path)
    assert Corpus.read(path, skip_bad=True).skipped_reasons == {"not Unicode": 1}
    with pytest.raises(InputError, match="lone surrogate"):
        Corpus.from_documents([Document("a\ud83d", "x")])


# What is there twice, what is lost


def test_a_record_that_is_there_twice_is_one_document(tmp_path: Path):
    red, blue = {"id": 1, "title": "red", "kind": "A"}, {"id": 2, "title": "blue", "kind": "A"}
    path = jsonl(tmp_path / "a.jsonl", red, red, red, blue, blue | {"kind": "B"})
    corpus = Corpus.read(path, label="kind")
    assert corpus.labels == [("A",), ("A",)]
    assert told(corpus, "3 records repeat the id and text of another and are left out; 1 of them have another label")
    with pytest.raises(InputError, match=r"line 2: the id '1' was already in .* line 1"):
        Corpus.read(jsonl(tmp_path / "a.jsonl", red, red | {"title": "other"}))


def test_twice_in_one_line_is_twice(tmp_path: Path):
    (tmp_path / "a.json").write_text('[{"id": 1, "title": "a"}, {"id": 1, "title": "b"}]')
    with pytest.raises(InputError, match=r"record 2: the id '1' was already in .* record 1"):
        Corpus.read(tmp_path / "a.json")


def test_more_than_half_lost_stops(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", *({"id": n, "title": "x" * (n % 2)} for n in range(1, 20)), {"title": "no id"})
    assert len(Corpus.read(path, skip_bad=True)) == 10
    path = jsonl(tmp_path / "a.jsonl", *({"id": n, "title": "x" * (n % 2)} for n in range(20)), {"title": "no id"})
    with pytest.raises(
        InputError, match=r"11 of 21 records would be left out \(10 x no text, 1 x no id; the first: .*line 1:"
    ):
        Corpus.read(path, skip_bad=True)
    corpus = Corpus.read(path, skip_bad=True, keep_going=True)
    assert (len(corpus), corpus.skipped) == (10, 11)


def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = jsonl(tmp_path / "a.jsonl", *ITEMS)
    whole = READERS[".jsonl"]
    cut = Reader(whole.survey, lambda path, names: islice(whole.records(path, names), 3))
    monkeypatch.setattr("lmindexer.corpus.reading.reader_of", lambda path: cut)
    with pytest.raises(InputError, match="had 5 records and now 3"):
        Corpus.read(path)


# Folders


@pytest.mark.parametrize("packed", [False, True])
def test_of_a_beir_folder_only_the_corpus_is_read(packed: bool, tmp_path: Path):
    (tmp_path / "qrels").mkdir()
    for name, id in (("corpus", "d1"), ("queries", "q1")):
        path = jsonl(tmp_path / f"{name}.jsonl", {"_id": id, "text": "lens and ring"})
        if packed:
            (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
    corpus = Corpus.read(tmp_path)
    assert corpus.doc_ids == ("d1",)
    assert told(corpus, "its queries are no documents")


def test_every_packing_is_read(tmp_path: Path):
    lines = [json.dumps(item).encode() + b"\n" for item in ITEMS]
    (tmp_path / "0.jsonl.gz").write_bytes(gzip.compress(lines[0]))
    (tmp_path / "1.jsonl.bz2").write_bytes(bz2.compress(lines[1]))
    (tmp_path / "2.jsonl.xz").write_bytes(lzma.compress(lines[2]))
    with pa.CompressedOutputStream(str(tmp_path / "3.jsonl.zst"), "zstd") as file:
        file.write(lines[3])
    (tmp_path / "4.jsonl").write_bytes(lines[4])
    corpus = Corpus.read(tmp_path, label="categories")
    assert list(corpus) == KITES
    assert corpus.notes == ()


@pytest.mark.parametrize("name", ["a.jsonl.bz2", "a.jsonl.xz", "a.jsonl.zst"])
def test_a_damaged_packing_is_named(name: str, tmp_path: Path):
    (tmp_path / name).write_bytes(b"nothing of the kind" * 10)
    with pytest.raises(InputError, match=r"a\.jsonl\.\w+ is not a whole \w+ file"):
        Corpus.read(tmp_path / name)


def test_what_a_folder_holds_besides_is_named(tmp_path: Path):
    jsonl(tmp_path / "0.jsonl", *ITEMS)
    (tmp_path / "1.jsonl").symlink_to(tmp_path / "gone.jsonl")
    (tmp_path / "2.jsonl").symlink_to(jsonl(tmp_path / ".hidden.jsonl", {"asin": "B9", "title": "linked"}))
    (tmp_path / "test").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "dataset_info.json").write_text('{"id": "x", "description": "no document"}')
    corpus = Corpus.read(tmp_path)
    assert corpus.doc_ids == ("B0", "B1", "B2", "B3", "B4", "B9")
    assert told(
        corpus, "1.jsonl (a link to nothing), dataset_info.json, notes.txt, test/ (a folder; name it, too, to read it)"
    )


def test_a_folder_of_datasets_is_told(tmp_path: Path):
    (tmp_path / "data-00000-of-00001.arrow").touch()
    (tmp_path / "state.json").write_text('{"id": 1, "text": "x"}')
    with pytest.raises(InputError, match="is a folder of datasets' save_to_disk; write it as Parquet"):
        Corpus.read(tmp_path)


# Parquet


def test_kinds_of_text_in_parquet(tmp_path: Path):
    two = pa.array([["x one", "y"], ["x two", None]])
    columns = {
        "id": pa.array([1, 2]),
        "title": pa.array(["a", "b"]).cast(pa.string_view()),
        "text": two.cast(pa.list_(pa.string(), 2)),
        "body": pa.array([[["deep"], []], [["deeper", "still"], None]]),
        "abstract": pa.array(["dictionary", "coded"]).dictionary_encode(),
        "description": pa.array([1, 2]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    corpus = Corpus.read(tmp_path / "a.parquet")
    assert corpus.texts() == ["a x one y deep dictionary", "b x two deeper still coded"]


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path):
    table = pa.Table.from_arrays([pa.array([1]), pa.array(["a"]), pa.array(["b"])], names=["id", "title", "title"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match="two columns are named 'title'; rename one"):
        Corpus.read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")), ["2023-11-14 22:13:20.123456789"]),
        (pa.array([1_700_000_000_000_000], pa.timestamp("us")), ["2023-11-14 22:13:20"]),
        (pa.array([1_000_000], pa.timestamp("us", tz="Mars/Olympus")), ["1970-01-01 00:00:01"]),
        (pa.array([19_000], pa.date32()), ["2022-01-08"]),
        (pa.array([86_399_999_999_999], pa.time64("ns")), ["23:59:59.999999999"]),
        (pa.array([123_456_789_012_345], pa.duration("ns")), ["123456789012345"]),
        (pa.array([2**30], pa.date32()), None),
        (pa.array([2**62], pa.timestamp("us")), None),
        (pa.array([[2**62]], pa.list_(pa.timestamp("us"))), None),
    ],
)
def test_dates_in_parquet(values: pa.Array, texts: list[str] | None, tmp_path: Path):
    values = pa.concat_arrays([values, pa.nulls(1, values.type)])
    pq.write_table(pa.table({"id": ["a", "b"], "title": ["x", "x"], "when": values}), tmp_path / "a.parquet")
    if texts is not None:
        assert Corpus.read(tmp_path / "a.parquet", text=["title", "when"]).texts() == [f"x {texts[0]}", "x"]
        return
    for options in ({"text": ["title", "when"]}, {"label": "when"}):
        with pytest.raises(InputError, match=r"row 1: a value is none that can be read"):
            Corpus.read(tmp_path / "a.parquet", **options)
        assert Corpus.read(tmp_path / "a.parquet", **options, skip_bad=True).doc_ids == ("b",)


# Sentences


def test_a_message_is_one_bounded_line(tmp_path: Path):
    path = jsonl(tmp_path / "a.jsonl", {f"column {n} \n" + "x" * 1000: 1 for n in range(500)})
    with pytest.raises(InputError) as error:
        Corpus.read(path)
    assert len(str(error.value)) <= 600
    assert str(error.value).isprintable()
    assert str(InputError("a\nb\ud83d")) == "a\\nb\\ud83d"
