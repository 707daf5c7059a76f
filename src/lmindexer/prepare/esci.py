"""Amazon's shopping queries, ESCI (section 4.4): the queries that some product answers exactly."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from math import ceil
from pathlib import Path
from typing import Any

from lmindexer.corpus import parquet
from lmindexer.corpus.cells import id_of
from lmindexer.corpus.fields import ID_NAMES, usual_names
from lmindexer.corpus.files import find_files, reader_of
from lmindexer.corpus.readers import READERS
from lmindexer.corpus.records import sound_records
from lmindexer.errors import InputError
from lmindexer.prepare.paper import amazon_counts
from lmindexer.prepare.prepared import Count, Prepared, counted
from lmindexer.prepare.raw_files import find
from lmindexer.prepare.writing import BeirFolder
from lmindexer.progress import Progress
from lmindexer.questions.query_records import SPLITS

EXAMPLES = ("query", "query_id", "product_id", "product_locale", "esci_label", "split")
PRODUCTS = ("product_id", "product_title", "product_description", "product_bullet_point", "product_brand",
            "product_locale")  # fmt: skip
EXACT = ("E", "exact")
DEV_SHARE = 8  # one of so many training queries is for dev, as in the paper


@dataclass
class ExactQuery:
    """A query of one split, and the documents that answer it exactly."""

    text: str
    split: str
    doc_ids: dict[str, float] = field(default_factory=dict)


def prepare(
    raw: Path, folder: Path, progress: Progress, catalogue: Path | None = None, locale: str = "us", name: str = "",
    seed: int = 0,
) -> Prepared:  # fmt: skip
    """Queries with exact labels, over a catalogue by ASIN (the paper's corpora), or over all products of a locale."""
    examples = find(raw, "shopping_queries_dataset_examples.parquet", "*examples*.parquet")
    source = catalogue or find(raw, "shopping_queries_dataset_products.parquet", "*products*.parquet")
    with BeirFolder(folder) as beir:
        documents = _products(source, locale) if catalogue is None else _catalogue(source)
        doc_id_of: dict[str, str] = {}
        for asin, doc_id, record in counted(documents, progress, "reading products", "products"):
            if asin in doc_id_of:
                raise InputError(f"{source} has two documents of the product {asin!r}; keep one of them")
            doc_id_of[asin] = doc_id
            beir.document(record)
        if not doc_id_of:
            raise InputError(f"{source} has no product of the locale {locale!r}; name another --locale")
        queries, others = _queries(examples, locale, doc_id_of, progress)
        for query_id in _drawn([id for id, query in queries.items() if query.split == "train"], seed):
            queries[query_id].split = "dev"
        for query_id, query in queries.items():
            beir.query(query_id, query.text)
            beir.label(query.split, query_id, query.doc_ids)
    paper = amazon_counts(name)
    counts = [Count("documents", beir.documents, paper.items if paper else None)]
    for what, ours, theirs in (("queries", beir.queries, "queries"), ("labels", beir.labels, "labels")):
        numbers = getattr(paper, theirs) if paper else (None,) * len(SPLITS)
        counts += [Count(f"{split} {what}", ours[split], number) for split, number in zip(SPLITS, numbers, strict=True)]
    return Prepared(
        sources=(examples, source),
        counts=tuple(counts),
        rules=(
            f"labels E (exact) of the locale {locale}, of all sizes of the set, in the published train and test split",
            f"of the training queries one in {DEV_SHARE} is for dev, by a hash of its id and the seed {seed}",
            "a query is kept if a document of the catalogue answers it",
        ),
        commands=(
            "lmindexer learn DATA/corpus.jsonl.gz --out runs/products",
            "lmindexer finetune runs/products --queries DATA --out runs/products-search",
            "lmindexer evaluate runs/products-search --method bm25 --method generative",
        ),
        notes=(f"{others:,} queries with exact products have none among the documents: left out",) * bool(others),
    )  # fmt: skip


def _queries(
    path: Path, locale: str, doc_id_of: dict[str, str], progress: Progress
) -> tuple[dict[str, ExactQuery], int]:
    """The queries that documents answer, by id, and how many others have exact products."""
    _check_columns(path, EXAMPLES)
    queries: dict[str, ExactQuery] = {}
    others: set[str] = set()
    rows = sound_records(path, "row", READERS[".parquet"], EXAMPLES)
    for number, row in counted(rows, progress, "reading examples", "examples"):
        if row["product_locale"] != locale or row["esci_label"] not in EXACT:
            continue
        if row["split"] not in ("train", "test") or not str(row["query"] or "").strip():
            raise InputError(f"{path}, row {number}: it has no query, or a split other than train and test")
        query_id, asin = (id_of(row, name, f"{path}, row {number}") for name in ("query_id", "product_id"))
        if asin not in doc_id_of:
            others.add(query_id)
            continue
        query = queries.setdefault(query_id, ExactQuery(str(row["query"]), row["split"]))
        query.doc_ids[doc_id_of[asin]] = 1.0
    if not queries:
        raise InputError(f"{path} has no exact label of the locale {locale!r} for any of the documents")
    return queries, len(others - queries.keys())


def _drawn(query_ids: list[str], seed: int) -> list[str]:
    """One in eight, rounded up as the paper's numbers are, whatever the order of the file."""
    by_hash = sorted(query_ids, key=lambda id: blake2b(f"{seed}\0{id}".encode()).digest())
    return by_hash[: ceil(len(query_ids) / DEV_SHARE)]


# Documents: ASIN, id and record


def _products(path: Path, locale: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    _check_columns(path, PRODUCTS)
    for number, row in sound_records(path, "row", READERS[".parquet"], PRODUCTS):
        if row["product_locale"] == locale:
            parts = (row["product_description"], row["product_bullet_point"], row["product_brand"])
            text = " ".join(str(part) for part in parts if part)
            id = id_of(row, "product_id", f"{path}, row {number}")
            yield id, id, {"_id": id, "title": str(row["product_title"] or ""), "text": text}


def _catalogue(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The documents of a file, as they are; the product is in `asin` where they have that, else in their id."""
    file, *others = find_files(path)
    if others:
        raise InputError(f"{path} holds several files; name one of them with --catalogue")
    reader = reader_of(file)
    survey = reader.survey(file)
    ids = usual_names(survey.columns, ID_NAMES)
    if not ids:
        raise InputError(f"{path} has none of the usual id columns, such as id and asin; rename one")
    asin = next(iter(usual_names(survey.columns, ("asin",))), ids[0])
    for number, record in sound_records(file, survey.unit, reader):
        where = f"{path}, {survey.unit} {number}"
        yield id_of(record, asin, where), id_of(record, ids[0], where), record


def _check_columns(path: Path, names: tuple[str, ...]) -> None:
    lacking = [name for name in names if name not in parquet.open_parquet(path).schema_arrow.names]
    if lacking:
        raise InputError(f"{path} has no column {', '.join(lacking)}; fetch the file of the set's first page again")
