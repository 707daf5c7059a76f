"""The data of the tables: sets by name below LMINDEXER_DATA, or a folder or a file of one's own in the same layout."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.paper.names import folder_name
from lmindexer.errors import InputError
from lmindexer.questions.queries import Queries, load_queries, splits_of
from lmindexer.questions.query_records import SPLITS

ESCI = {"esci": ("beauty", "toys")}  # the sets whose items have queries of ESCI here, one table each


@dataclass(frozen=True)
class DataSet:
    """Documents, what users took of them, and queries for them; what is None is not there."""

    name: str
    documents: Path
    text: tuple[str, ...] = ()
    label: str = ""
    sequences: Path | None = None
    queries: Path | None = None  # a BEIR folder, or JSONL of queries with their documents
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # the judgements of a split; {}: as named
    level: float = 0.0  # a document is relevant from this grade on; 0: from any above 0

    def queries_by_split(self, doc_ids: Collection[str]) -> dict[str, Queries]:
        """Every split that there is. Raises InputError where there are no queries."""
        if self.queries is None:
            raise InputError(f"{self.name} has no queries; put queries.jsonl (and qrels/) into its folder")
        present = splits_of(self.queries, None) & set(SPLITS)
        files = self.splits or {split: (split,) for split in SPLITS if split in present}
        if not {"train", "test"} <= files.keys():
            raise InputError(f"{self.queries} must name queries of the splits train and test")
        return {split: self._of_files(split, names, doc_ids) for split, names in files.items()}

    def _of_files(self, split: str, names: tuple[str, ...], doc_ids: Collection[str]) -> Queries:
        """The queries of a split; of several files of judgements one after another."""
        assert self.queries is not None
        if not self.splits:
            return load_queries(self.queries, None, split, doc_ids)
        qrels = [self.queries / "qrels" / f"{name}.tsv" for name in names]
        parts = [load_queries(self.queries, file, split, doc_ids) for file in qrels]
        ids = tuple(query_id for part in parts for query_id in part.query_ids)
        texts = tuple(text for part in parts for text in part.texts)
        both = Queries(ids, texts, tuple(grades for part in parts for grades in part.relevant))
        return Queries.of(both, documents=doc_ids)


@dataclass(frozen=True)
class Named:
    """Where a set lies below LMINDEXER_DATA, and how it is read; the field names are those of DataSet."""

    folder: str
    text: tuple[str, ...] = ()
    label: str = ""
    queries: str = ""  # where they are in another folder
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    level: float = 0.0
    about: str = ""  # the paper's name for it


POOL = {"train": ("sparse_train",), "dev": ("sparse_dev",), "test": ("test_dl19", "test_dl20")}
SETS = {
    "beauty": Named("amazon2014_beauty", ("title", "brand"), "categories", "esci_slice/beauty.jsonl",
                    about="Amazon-Beauty"),
    "sports": Named("amazon2014_sports", ("title", "brand"), "categories", "esci_slice/sports.jsonl",
                    about="Amazon-Sports"),
    "toys": Named("amazon2014_toys", ("title",), "categories", "esci_slice/toys.jsonl", about="Amazon-Toys"),
    "office": Named("amazon2018_office"),
    "scientific": Named("amazon2018_scientific_small"),
    "squad": Named("ir_squad_dev"),
    "squad-articles": Named("ir_squad_dev", ("text",), "title"),
    "debian": Named("debian", ("text",), "section"),
    "docstrings": Named("docstrings", ("text",), "label"),
    "medquad": Named("ir_medquad"),
    "msmarco-pool": Named("ir_msmarco_dl_pool", splits=POOL, level=2),
    "nfcorpus": Named("ir_nfcorpus"),
    "scifact": Named("ir_scifact"),
    "nq320k": Named("ir_nq320k", about="NQ320k"),
    "trec-dl": Named("ir_trec_dl_1m", level=2, about="TREC-DL 1M"),
    "msmarco-1m": Named("ir_msmarco_1m", about="MS MARCO 1M"),
}  # fmt: skip


def data_set(name: str) -> DataSet:
    """A set by its name, a folder, or a file of documents. Raises InputError where it is not there."""
    if name in SETS:
        named = SETS[name]
        folder = root() / named.folder
        if not folder.is_dir():
            raise InputError(f"there is no {folder}; set LMINDEXER_DATA to the folder that holds {named.folder}")
        queries = _found(root(), named.queries) if named.queries else _queries_in(folder)
        return DataSet(name, _documents_in(folder), named.text, named.label, _found(folder, "sequences.txt"), queries,
                       named.splits, named.level)  # fmt: skip
    path = Path(name)
    if path.is_dir():
        documents = _documents_in(path)
        return DataSet(folder_name(path.name), documents, sequences=_found(path, "sequences.txt"),
                       queries=_queries_in(path))  # fmt: skip
    if not path.exists():
        raise InputError(f"--data {name} is neither a file nor a folder, nor one of {', '.join([*SETS, *ESCI])}")
    return DataSet(folder_name(path.name.split(".")[0]), path)


def root() -> Path:
    """The folder that holds the sets."""
    return Path(os.environ.get("LMINDEXER_DATA", "data"))


def missing(names: Collection[str]) -> list[str]:
    """A line for each of the paper's sets that is not on this machine."""
    return [
        f"{SETS[name].about}: there is no {SETS[name].folder} in the folder LMINDEXER_DATA"
        for name in names
        if not (root() / SETS[name].folder).is_dir()
    ]


def _documents_in(folder: Path) -> Path:
    for name in ("items.jsonl", "corpus.jsonl"):
        if (found := _found(folder, name)) is not None:
            return found
    raise InputError(f"there is no items.jsonl and no corpus.jsonl in {folder}, nor packed as .gz; put one there")


def _queries_in(folder: Path) -> Path | None:
    """The BEIR folder itself, or its one file of queries."""
    file = _found(folder, "queries.jsonl")
    return folder if file is not None and (folder / "qrels").is_dir() else file


def _found(folder: Path, name: str) -> Path | None:
    """The file, plain or packed."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
