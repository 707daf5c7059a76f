"""Where the published files are, as their makers say, and their published checksums.

Where no checksum is published, the digest of what was fetched first is kept beside it and is what later ones must have.
"""

from dataclasses import dataclass

from lmindexer.errors import InputError
from lmindexer.prepare.paper import AMAZON_NAMES

_AMAZON = "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
_ESCI = "https://github.com/amazon-science/esci-data/raw/main/shopping_queries_dataset"
_NQ = "https://storage.googleapis.com/natural_questions/v1.0-simplified"
_MSMARCO = "https://msmarco.z22.web.core.windows.net/msmarcoranking"
_TREC = "https://trec.nist.gov/data/deep"
_BEIR = "https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets"
_MOVIELENS = "https://files.grouplens.org/datasets/movielens"


@dataclass(frozen=True)
class Address:
    """A file on the web. An archive (.zip, .tar.gz) is unpacked after it was fetched."""

    url: str
    md5: str = ""  # as published; "" where none is known

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


_COLLECTION = Address(f"{_MSMARCO}/collectionandqueries.tar.gz", "31644046b18952c1386cd4564ba2ae69")
ADDRESSES: dict[str, tuple[Address, ...]] = {
    "esci": tuple(Address(f"{_ESCI}/shopping_queries_dataset_{part}.parquet") for part in ("examples", "products")),
    "nq320k": (Address(f"{_NQ}/simplified-nq-train.jsonl.gz"), Address(f"{_NQ}/nq-dev-all.jsonl.gz")),
    "msmarco": (_COLLECTION,),
    "trec-dl": (
        _COLLECTION,
        Address(f"{_MSMARCO}/msmarco-test2019-queries.tsv.gz", "eda71eccbe4d251af83150abe065368c"),
        Address(f"{_MSMARCO}/msmarco-test2020-queries.tsv.gz", "00a406fb0d14ed3752d70d1e4eb98600"),
        Address(f"{_TREC}/2019qrels-pass.txt", "2f4be390198da108f6845c822e5ada14"),
        Address(f"{_TREC}/2020qrels-pass.txt", "0355ccee7509ac0463e8278186cdd8d1"),
    ),
}
NAMED: dict[str, dict[str, tuple[Address, ...]]] = {  # of these --name says which one
    "amazon": {
        short: (Address(f"{_AMAZON}/reviews_{full}_5.json.gz"), Address(f"{_AMAZON}/meta_{full}.json.gz"))
        for short, full in AMAZON_NAMES.items()
    },
    "beir": {
        "nfcorpus": (Address(f"{_BEIR}/nfcorpus.zip", "a89dba18a62ef92f7d323ec890a0d38d"),),
        "scifact": (Address(f"{_BEIR}/scifact.zip", "5f7d1de60b170fc8027bb7898e2efca1"),),
    },
    "movielens": {
        "ml-100k": (Address(f"{_MOVIELENS}/ml-100k.zip", "0e33842e24a9c977be4e0107933c0723"),),
        "ml-1m": (Address(f"{_MOVIELENS}/ml-1m.zip", "c4d9eecfca2ab87c1945afe126590906"),),
    },
}


def addresses_of(kind: str, name: str) -> tuple[Address, ...]:
    """The files of a set. Raises InputError where it has no public address, or --name must say which set it is."""
    if kind in ADDRESSES:
        return ADDRESSES[kind]
    if kind not in NAMED:
        raise InputError(f"{kind} has no public address; fetch its files and name their folder, without --download")
    if name not in NAMED[kind]:
        raise InputError(f"{kind} is fetched by name; give --name {' or '.join(NAMED[kind])} with --download")
    return NAMED[kind][name]
