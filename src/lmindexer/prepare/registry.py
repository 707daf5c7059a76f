"""SETS: every data set that can be prepared, by its name; a newcomer is one file and one entry here.

A set's module has `prepare(raw, folder, progress, **options)` -> `Prepared`. It is imported when its set is asked for.
"""

from dataclasses import dataclass

OF_HISTORY = ("core", "split_by", "cuts", "ties", "seed")  # as the fields of recommendation.History


@dataclass(frozen=True)
class RawSet:
    """A published form of data."""

    module: str  # of this package
    files: str  # what the raw folder holds
    options: tuple[str, ...]  # keywords of the module's `prepare`


SETS = {
    "amazon": RawSet("amazon", "reviews_NAME_5.json.gz (or ratings_NAME.csv) and meta_NAME.json.gz of 2014, 2018 or "
                     "2023", ("name", *OF_HISTORY)),
    "esci": RawSet("esci", "shopping_queries_dataset_examples.parquet and _products.parquet",
                   ("name", "catalogue", "locale", "seed")),
    "nq320k": RawSet("nq320k", "simplified-nq-train.jsonl.gz and nq-dev-all.jsonl.gz, or the original parts", ()),
    "msmarco": RawSet("msmarco", "collection.tsv, queries and qrels of train and dev.small", ("passages", "seed")),
    "trec-dl": RawSet("trec_dl", "the same, msmarco-test2019-queries.tsv, 2019qrels-pass.txt and those of 2020",
                      ("passages", "seed")),
    "beir": RawSet("beir", "corpus.jsonl, queries.jsonl and qrels/", ("name",)),
    "movielens": RawSet("movielens", "ratings.csv and movies.csv, ratings.dat and movies.dat, or u.data and u.item",
                        ("name", *OF_HISTORY)),
    "recbole": RawSet("recbole", "NAME.inter and NAME.item", ("name", *OF_HISTORY)),
}  # fmt: skip
