"""Tiny data sets exactly in the forms in which the real ones are published, with the oddities that these have."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DAY = 86_400
START = 1_372_636_800  # a midnight
WORDS = ("rose soap", "oven pan", "mast rope", "violin bow", "storm lamp", "garden soil", "drum kit", "plate set")


def put(path: Path, text: str | bytes) -> Path:
    """Write a file, packed if its name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def read_lines(path: Path) -> list[str]:
    """The lines of a packed file."""
    return gzip.decompress(path.read_bytes()).decode().splitlines()


def lines_of(records: Sequence[Any], write: Any = json.dumps) -> str:
    return "".join(write(record) + "\n" for record in records)


def asin(number: int) -> str:
    return f"B{number:09d}"


def reviewer(number: int) -> str:
    return f"A{number:013d}"


def reviews(users: int = 8, items: int = 8) -> list[dict[str, Any]]:
    """Every user took every item, a day apart, each beginning with another; a 5-core as it is."""
    return [
        {
            "reviewerID": reviewer(user), "asin": asin((user + place) % items), "reviewerName": "J. \"Jo\" O'Hara",
            "helpful": [0, 0], "reviewText": "it's fine", "overall": 5.0, "summary": "ok",
            "unixReviewTime": START + place * DAY, "reviewTime": "07 1, 2013",
        }
        for user in range(users) for place in range(items)
    ]  # fmt: skip


def metadata(items: int = 8) -> list[dict[str, Any]]:
    """Products of 2014, as Python writes them: without some titles and brands, with None and nested categories."""
    found: list[dict[str, Any]] = [
        {
            "asin": asin(number), "title": f"{WORDS[number % len(WORDS)]} {number}", "price": 3.5, "imUrl": "http://a/b.jpg",
            "related": {"also_bought": [asin(1)]}, "salesRank": {"Beauty": 9}, "brand": "Kid's \"Own\"",
            "description": "a &amp; b\nnew", "categories": [["Beauty", "Makeup"], ["Beauty", "Nails"]],
        }
        for number in range(items)
    ]  # fmt: skip
    del found[1]["title"], found[1]["description"]
    found[1]["brand"] = None
    found[2]["categories"] = [[]]
    return found


def write_amazon(folder: Path, kept: list[dict[str, Any]] | None = None, name: str = "Beauty") -> Path:
    """reviews_NAME_5.json.gz of JSON and meta_NAME.json.gz of Python literals, as of 2014."""
    put(folder / f"reviews_{name}_5.json.gz", lines_of(reviews() if kept is None else kept))
    put(folder / f"meta_{name}.json.gz", lines_of(metadata(), repr))
    return folder


def example(query_id: int, product: str, label: str, split: str, locale: str = "us") -> dict[str, Any]:
    return {
        "example_id": query_id, "query": f"query {query_id}", "query_id": query_id, "product_id": product,
        "product_locale": locale, "esci_label": label, "small_version": 1, "large_version": 1, "split": split,
    }  # fmt: skip


def product(id: str, locale: str = "us") -> dict[str, Any]:
    return {
        "product_id": id, "product_title": f"thing {id}", "product_description": None,
        "product_bullet_point": "light\nand red", "product_brand": "Acme", "product_color": None,
        "product_locale": locale,
    }  # fmt: skip


def write_esci(folder: Path, examples: list[dict[str, Any]], products: list[dict[str, Any]]) -> Path:
    for name, rows in (("examples", examples), ("products", products)):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"shopping_queries_dataset_{name}.parquet")
    return folder


def esci(folder: Path) -> Path:
    """Sixteen training queries and four test queries on eight products, with other labels and another locale."""
    rows = [example(n, asin(n % 8), "E", "train" if n < 16 else "test") for n in range(20)]
    rows += [example(n, asin((n + 1) % 8), label, "train") for n, label in enumerate("SCI")]
    rows += [example(0, asin(5), "E", "train"), example(90, asin(0), "S", "train")]
    rows += [example(91, asin(0), "E", "train", "jp"), example(92, "B00UNKNOWN", "E", "train")]
    products = [product(asin(n)) for n in range(8)] + [product(asin(0), "jp"), product("B00UNKNOWN", "es")]
    return write_esci(folder, rows, products)


def simplified(id: int, question: str, title: str, text: str) -> dict[str, Any]:
    """A line of simplified Natural Questions: tags are words of the text, and the title is in the address alone."""
    address = f"https://en.wikipedia.org//w/index.php?title={title.replace(' ', '_')}&amp;oldid=8{id}"
    return {
        "annotations": [{"yes_no_answer": "NONE"}], "document_text": f"{title} - Wikipedia <H1> {title} </H1> {text}",
        "document_url": address, "example_id": id, "long_answer_candidates": [{"start_token": 0}],
        "question_text": question,
    }  # fmt: skip


def original(id: int, question: str, title: str, text: str) -> dict[str, Any]:
    """A line of the original form: tokens, some of them tags, and a title of its own."""
    tokens = [{"token": "<P>", "html_token": True}, *({"token": word, "html_token": False} for word in text.split())]
    return {
        "example_id": id, "question_text": question, "document_title": title, "document_tokens": tokens,
        "document_url": "https://en.wikipedia.org//w/index.php?title=Other&amp;oldid=1", "document_html": "<html>",
    }  # fmt: skip


def write_nq(folder: Path) -> Path:
    """Five train questions on three titles, and two dev questions, one on a page of train."""
    train = [
        simplified(-7, "who grows roses", "Rose", "<P> a < b rose </P>"),
        simplified(2, "what is a rose", "ROSE", "<P> a later page </P>"),
        simplified(3, "where are ovens", "Café oven", "<Table> hot </Table>"),
        simplified(4, "why are ovens hot", "Cafe  Oven", "<P> other </P>"),
        simplified(5, "what is a mast", "Mast (sailing)", "<P> a pole </P>"),
    ]
    dev = [
        original(11, "how tall is a mast", "Mast (Sailing)", "a dev page"),
        original(12, "what rains", "Rain", "wet , cold"),
    ]
    put(folder / "simplified-nq-train.jsonl.gz", lines_of(train))
    put(folder / "nq-dev-all.jsonl.gz", lines_of(dev))
    return folder


def write_msmarco(folder: Path, passages: int = 40) -> Path:
    """Passages with tabs in them, queries without judgements, qrels in four columns."""
    put(folder / "collection.tsv", "".join(f"{n}\t{WORDS[n % 8]}\tand {n}\n" for n in range(passages)))
    put(folder / "queries.train.tsv", "".join(f"{100 + n}\twhat is {WORDS[n % 8]}\n" for n in range(20)))
    put(folder / "qrels.train.tsv", "".join(f"{100 + n}\t0\t{n}\t1\n" for n in range(10)))
    put(folder / "queries.dev.small.tsv", "".join(f"{200 + n}\twhich {WORDS[n % 8]}\n" for n in range(4)))
    put(folder / "qrels.dev.small.tsv", "".join(f"{200 + n}\t0\t{10 + n}\t1\n" for n in range(4)))
    return folder


def write_trec_dl(folder: Path) -> Path:
    """MS MARCO, and two years of the track: grades 0 to 3, of passages in and outside any subset."""
    write_msmarco(folder)
    put(folder / "msmarco-test2019-queries.tsv.gz", "301\tone\n302\ttwo\n303\tnever judged\n")
    put(folder / "msmarco-test2020-queries.tsv.gz", "401\tthree\n")
    put(folder / "2019qrels-pass.txt", "301 Q0 0 3\n301 Q0 1 0\n301 Q0 2 1\n302 Q0 99 3\n302 Q0 3 0\n")
    put(folder / "2020qrels-pass.txt", "401 0 12 2\n401 0 98 2\n")
    return folder


def write_beir(folder: Path) -> Path:
    """A BEIR folder with a validation split, metadata, an empty text, and judgements of what is not there."""
    documents = [{"_id": f"d{n}", "title": "", "text": WORDS[n], "metadata": {"year": n}} for n in range(8)]
    documents[7]["text"] = " "
    put(folder / "corpus.jsonl", lines_of(documents))
    queries = [{"_id": f"q{n}", "text": f"the {WORDS[n % 8]}", "metadata": {}} for n in range(8)]
    put(folder / "queries.jsonl", lines_of(queries))
    head = "query-id\tcorpus-id\tscore\n"
    put(folder / "qrels" / "train.tsv", head + "q0\td0\t1\nq1\td1\t2\nq2\td2\t1\n")
    put(folder / "qrels" / "validation.tsv", head + "q3\td3\t1\nq99\td3\t1\n")
    put(folder / "qrels" / "test.tsv", head + "q4\td4\t1\nq4\tgone\t1\nq5\td5\t0\n")
    return folder


def ratings(users: int = 6, movies: int = 6) -> list[tuple[int, int, int, int]]:
    """User, movie, stars and time, the movies of a user in falling order of time."""
    return [(user, movie, 1 + movie % 5, 978_300_000 - movie) for user in range(1, users + 1)
            for movie in range(1, movies + 1)]  # fmt: skip


def write_ml_1m(folder: Path) -> Path:
    """ratings.dat and movies.dat, parted by '::', in Latin-1."""
    put(folder / "ratings.dat", "".join(f"{u}::{m}::{stars}::{time}\n" for u, m, stars, time in ratings()))
    titles = "".join(f"{m}::Café {WORDS[m]} (1995)::Animation|Children's|Comedy\n" for m in range(1, 8))
    put(folder / "movies.dat", titles.encode("latin-1"))
    return folder


def write_ml_100k(folder: Path) -> Path:
    """u.data parted by tabs, u.item by bars in Latin-1 with 19 marks of genres."""
    put(folder / "u.data", "".join(f"{u}\t{m}\t{stars}\t{time}\n" for u, m, stars, time in ratings()))
    marks = "|".join("1" if n in (3, 5) else "0" for n in range(19))
    items = "".join(f"{m}|Café {WORDS[m]} (1995)|01-Jan-1995||http://us.imdb.com/M|{marks}\n" for m in range(1, 8))
    put(folder / "u.item", items.encode("latin-1"))
    return folder


def write_ml_latest(folder: Path) -> Path:
    """ratings.csv and movies.csv with headers, quoted titles, and a movie without genres."""
    rows = "".join(f"{u},{m},{stars}.0,{time}\n" for u, m, stars, time in ratings())
    put(folder / "ratings.csv", "userId,movieId,rating,timestamp\n" + rows)
    titles = "".join(f'{m},"Café {WORDS[m]}, The (1995)",Animation|Comedy\n' for m in range(1, 6))
    put(folder / "movies.csv", "movieId,title,genres\n" + titles + "6,Last,(no genres listed)\n")
    return folder


def write_recbole(folder: Path) -> Path:
    """Typed headers; an item without a row and a row without events."""
    rows = "".join(f"u{u}\ti{m}\t{time}.0\n" for u, m, _, time in ratings())
    put(folder / "toy.inter", "user_id:token\titem_id:token\ttimestamp:float\n" + rows)
    items = "".join(f"i{m}\t{WORDS[m]}\t'Beauty', 'Nails'\t{m}.5\n" for m in (1, 2, 3, 4, 5, 7))
    put(folder / "toy.item", "item_id:token\ttitle:token_seq\tcategories:token_seq\tprice:float\n" + items)
    return folder


MAKERS = {  # by set
    "amazon": write_amazon, "esci": esci, "nq320k": write_nq, "msmarco": write_msmarco, "trec-dl": write_trec_dl,
    "beir": write_beir, "movielens": write_ml_1m, "recbole": write_recbole,
}  # fmt: skip
