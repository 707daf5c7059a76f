"""Inputs as people have them, a folder each, kept beside the repository: what is right is said in a table here.

The folder is ../shared/cases, or LMINDEXER_CASES; where there is none, nothing is tested here (the same kinds of
files are made in tests/corpus/test_catalogues.py, test_tables.py and tests/questions/test_interactions.py).
"""

import os
from pathlib import Path
from typing import Any

import pytest

from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.questions.interactions import read_interactions

CASES = Path(os.environ.get("LMINDEXER_CASES", Path(__file__).parents[2] / "shared" / "cases"))
pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason=f"no folder of cases at {CASES}; name one by LMINDEXER_CASES"
)

READ: dict[str, tuple[int, dict[str, Any]]] = {  # documents, how they are read
    "catalogues/01-python-literal-meta/meta.json": (40, {}),
    "catalogues/02-json-array/items.json": (40, {}),
    "catalogues/02-json-array/items_pretty.json": (40, {}),
    "catalogues/04-usual-id-names/items.csv": (2, {}),
    "catalogues/04-usual-id-names/movies.csv": (2, {}),
    "catalogues/04-usual-id-names/meta2023.jsonl": (40, {}),
    "catalogues/05-tsv-unquoted-titles/items.tsv": (5, {}),
    "catalogues/05-tsv-unquoted-titles/items_b.tsv": (3, {}),
    "catalogues/05-tsv-unquoted-titles/items_c.tsv": (3, {}),
    "catalogues/05-tsv-unquoted-titles/items_many.tsv": (40, {}),
    "catalogues/08-sparse-columns/items.jsonl": (1300, {}),
    "catalogues/09-ids/odd.jsonl": (26, {}),
    "catalogues/12-encodings/quote_lead.csv": (4, {}),
    "catalogues/12-encodings/escape.csv": (3, {}),
    "catalogues/12-encodings/cr.jsonl": (2, {}),
    "catalogues/14-skip-bad-undercounts/backslash.csv": (40, {}),
    "catalogues/14-skip-bad-undercounts/lead_quote.csv": (40, {}),
    "catalogues/14-skip-bad-undercounts/lead_quote.tsv": (40, {}),
    "catalogues/15-recbole/toy.item": (1, {}),
    "catalogues/15-recbole/toy.item.tsv": (3, {}),
    "catalogues/18-amazon2018/meta.json": (2, {"label": "category", "skip_bad": True}),
    "catalogues/30-parquet/fixed_list.parquet": (4, {}),
    "catalogues/30-parquet/polars138.parquet": (40, {}),
    "search/01-beir-folder-as-corpus": (240, {}),
    "search/11-parquet-dates/ts_ns.parquet": (2, {"text": ["text", "when"]}),
    "search/11-parquet-dates/tz.parquet": (2, {"label": "when"}),
    "search/12-shards-silently-left-out/mixed": (20, {}),
    "search/15-label-with-gt/cn.jsonl": (6, {"label": "label"}),
}
REFUSED: dict[str, str] = {  # what the sentence names
    "catalogues/10-missing-as-words/items.csv": "line 2: there is no text",
    "catalogues/12-encodings/utf16.csv": "is UTF-16",
    "catalogues/12-encodings/utf16le.jsonl": "is UTF-16LE",
    "catalogues/12-encodings/semicolon.csv": "by ';'",
    "catalogues/12-encodings/sql.csv": "by '|'",
    "catalogues/12-encodings/noheader.csv": "is no header",
    "catalogues/16-movielens/movies_dat.csv": "by '::'",
    "search/09-lone-surrogate-in-an-id/surr_id.jsonl": "line 1: the id",
    "search/11-parquet-dates/date_far.parquet": "row 1: a value is none that can be read",
    "search/14-tsv-without-header/collection.tsv": "is no header",
    "search/28-hf-save-to-disk": "save_to_disk",
    "search/28-hf-save-to-disk/data-00000-of-00001.arrow": "an Arrow file",
}
LOGS: dict[str, dict[str, list[str]]] = {
    "inter.csv": {"u1": ["1", "2", "3"], "u2": ["5"]},
    "inter.tsv": {"u1": ["1", "3"]},
    "toy.inter": {"1": ["1", "3"]},
    "dups.jsonl": {"u1": ["3", "4", "5"]},
    "am2023.jsonl": {"u1": ["3", "4", "5"]},
    "am_strtime.jsonl": {"u1": ["3", "4", "5"]},
    "am_float_ids.jsonl": {"u1": ["3", "4", "5"]},
    "str_list.jsonl": {"u1": ["3", "4", "5"]},
    "ratings.dat": {"1": ["1193"]},
    "u.data": {"196": ["242"], "186": ["302"]},
    "sasrec_pairs.txt": {"1": ["11", "12", "13"], "2": ["11"]},
}


def there(name: str) -> Path:
    path = CASES / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read_is_read_whole(name: str):
    documents, options = READ[name]
    corpus = Corpus.read(there(name), keep_going=True, **options)
    assert len(corpus) == documents


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_is_refused_with_its_cause(name: str):
    options = {"text": ["text", "when"]} if "dates" in name else {}
    with pytest.raises(InputError) as error:
        Corpus.read(there(name), **options)
    assert REFUSED[name] in str(error.value)
    assert len(str(error.value).replace(str(CASES), "")) < 300


@pytest.mark.parametrize("name", LOGS)
def test_logs(name: str):
    assert read_interactions(there(f"catalogues/20-interaction-logs/{name}")).taken == LOGS[name]


def test_events_that_stand_twice_change_nothing():
    clean, twice = (there(f"catalogues/50-sequences/{name}_events.jsonl") for name in ("clean", "dup"))
    assert read_interactions(clean).taken == read_interactions(twice).taken


def test_undone_markup_is_what_was_meant():
    plain, entities = (there(f"catalogues/11-html/{name}.jsonl") for name in ("plain", "entities"))
    assert list(Corpus.read(entities, label="cat")) == list(Corpus.read(plain, label="cat"))


def test_no_file_of_all_cases_ends_in_a_trace():
    files = [path for path in sorted(CASES.rglob("*")) if path.is_file()]
    assert files
    messages = []
    for path in files:
        for read in (Corpus.read, read_interactions):
            try:
                read(path)
            except InputError as error:
                messages.append(str(error))
    assert max(map(len, messages)) <= 600
    assert all(map(str.isprintable, messages))
