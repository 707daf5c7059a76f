"""What every indexer does with its run folder: begin it, keep the documents, give IDs to those that come later."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lmindexer.config import GIVEN, NO_IDS, VECTOR_FILE, LearnConfig
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.corpus.fields import Fields
from lmindexer.corpus.vectors import Source, Vectors, read_vectors
from lmindexer.errors import InputError, excerpt
from lmindexer.files import write_atomically, write_folder
from lmindexer.ids.table import IdTable
from lmindexer.runs import Change, Run
from lmindexer.settings import same_settings

if TYPE_CHECKING:
    from lmindexer.model.backbone import Backbone  # torch: seconds that looking at a run need not wait for

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("label", pa.list_(pa.string()))])
NOT_LEARNED = "this indexer has not learned yet; call fit(corpus, out=...) or load(run)"


def given_vectors(config: LearnConfig, corpus: Corpus, vectors: Source | None) -> tuple[LearnConfig, Vectors | None]:
    """The vectors to learn from, those that `config` names or `vectors` in Python, and the settings that say so.

    None where texts are read. Raises InputError as `read_vectors`, and where both name some.
    """
    check_type(corpus)
    if vectors is None:
        if config.embeddings == GIVEN:
            raise InputError("the vectors were given in Python; give them again: fit(corpus, out, vectors=...)")
        _check_no_file(config.embeddings)
        return config, read_vectors(config.embeddings, corpus) if config.given_vectors else None
    if config.given_vectors and config.embeddings != GIVEN:
        raise InputError(f"vectors are named twice, by embeddings={config.embeddings!r} and by vectors=; leave one out")
    name = str(vectors) if isinstance(vectors, str | Path) else GIVEN
    if not VECTOR_FILE.fullmatch(name) and name != GIVEN:
        raise InputError(f"{name} is no file of vectors; its name must end in .parquet, .npy or .npz")
    return config.replace(embeddings=name), read_vectors(vectors, corpus)


def _check_no_file(embeddings: str) -> None:
    with suppress(OSError):  # a name longer than any
        if not VECTOR_FILE.fullmatch(embeddings) and Path(embeddings).is_file():
            raise InputError(
                f"embeddings {embeddings} is a file, but none of vectors that can be read; write them as .parquet with "
                "ids, as .npy or .npz, or name an encoder"
            )


def begin_run(
    config: LearnConfig, corpus: Corpus, out: Path, resume: bool, given: Vectors | None = None, **facts: Any
) -> Run:
    """A new run folder; with `resume` the one at `out`, if it is of this corpus with these settings and vectors."""
    if not resume:
        of_corpus = {"documents": len(corpus), "fingerprint": corpus.fingerprint}
        if corpus.fields is not None:
            facts["columns"] = corpus.fields.to_mapping()
        if given is not None:
            facts["vectors"] = given.facts
        return Run.create(out, config, {"corpus": of_corpus, **facts})
    run = Run.open(out, finished=False)
    if run.facts.get("corpus", {}).get("fingerprint") != corpus.fingerprint:
        raise InputError(f"{run.path} was learning another corpus; resume with the same files and columns")
    if not same_settings(run.config, config):
        raise InputError(f"{run.path} was learning with other settings; resume without changing any")
    if given is not None and run.facts.get("vectors") != given.facts:
        raise InputError(f"{run.path} was learning from other vectors than those in {given.origin}; resume with these")
    return run


def columns_of(run: Run) -> Fields | None:
    """The columns that the run's documents were read from; None where they were made in Python.

    A run of before they were kept has those its settings name, and HTML as it was.
    """
    kept, config = run.facts.get("columns"), run.config
    if kept is None:
        return Fields(config.id, config.text, config.label, keep_markup=True) if config.text else None
    try:
        return Fields.from_mapping(kept)
    except (KeyError, TypeError) as error:
        raise InputError(f"{run.path}/run.json is damaged (its columns lack {error}); learn the run anew") from None


def read_like(
    run: Run, files: Sequence[Path], text: Sequence[str] = (), id: str = "", label: str = "", **reading: bool
) -> Corpus:
    """The documents of `files`, from the columns that `run` was learned from where others are not named.

    Where it was learned from vectors, no text is needed. `reading` are keywords of `Corpus.read`.
    """
    return Corpus.read(list(files), text=text, id=id, label=label, like=columns_of(run),
                       textless=run.config.given_vectors, **reading)  # fmt: skip


def check_corpus(corpus: Corpus, given: Vectors | None = None) -> None:
    """Raise InputError unless there is something to tell these documents apart by: their `given` vectors, or texts."""
    check_type(corpus)
    if len(corpus) < 2:
        raise InputError("there is only one document; IDs tell documents apart, so give at least two")
    if given is not None:
        if given.distinct == 1:
            raise InputError(
                f"all {len(corpus):,} vectors in {given.origin} are the same; there is nothing to tell documents apart "
                "by"
            )
        return
    first = corpus[0].text
    if all(text == first for batch in corpus.text_batches(1024) for text in batch):
        raise InputError(f"all {len(corpus):,} documents have the same text; there is nothing to tell them apart by")


def index_with(
    run: Run | None,
    table: IdTable | None,
    corpus: Corpus,
    vectors: Source | None,
    codes_of: Callable[[Corpus, Vectors | None], np.ndarray],
) -> IdTable:
    """The IDs of the corpus' documents, in its order: those in the run's table, of all others by `codes_of`."""
    if table is None or run is None:
        raise InputError(NOT_LEARNED)
    check_type(corpus)
    known = table
    new = [row for row, doc_id in enumerate(corpus.doc_ids) if doc_id not in known]
    given = vectors_of_new(run, corpus, new, vectors)
    if new:
        others = corpus
        if len(new) < len(corpus):
            others = Corpus.from_documents((d for d in corpus if d.id not in known), keep_empty=True)
        table = table.add(others.doc_ids, codes_of(others, given))
    return table.select([table.row_of[doc_id] for doc_id in corpus.doc_ids])


def vectors_of_new(run: Run, corpus: Corpus, new: list[int], vectors: Source | None) -> Vectors | None:
    """The vectors of a corpus' documents that are `new` to a run (rows), where it was learned from vectors; else None.

    Raises InputError where a run that reads texts is given vectors, or one that reads vectors none for new documents.
    """
    if not run.config.given_vectors:
        if vectors is not None:
            raise InputError(f"{run.path} was learned from texts and takes no vectors; leave them out (--embeddings)")
        return None
    if not new:
        return None
    if vectors is None:
        raise InputError(
            f"{run.path} was learned from vectors ({run.config.embeddings}, of {width_of(run):,} numbers), so "
            f"{excerpt(corpus.doc_ids[new[0]])} needs one, too; give those of new documents with --embeddings FILE, in "
            "Python with vectors="
        )
    return read_vectors(vectors, corpus, new, width_of(run))


def width_of(run: Run) -> int:
    """How many numbers each of the vectors has that a run was learned from."""
    with run.trusting("run.json"):
        width = run.facts["vectors"]["width"]
        if type(width) is not int or width < 1:
            raise ValueError("its vectors have no width")
        return width


def check_type(corpus: object) -> None:
    """Raise InputError unless it is a Corpus."""
    if not isinstance(corpus, Corpus):
        raise InputError(f"the documents must be a Corpus, not {excerpt(corpus)}; make one with Corpus.of")


def save_ids(run: Run, ids: IdTable, corpus: Corpus) -> None:
    """ids.parquet, ids.jsonl and documents.parquet of a run that is learning."""
    save_table(run.path.joinpath, ids)
    save_documents(run.path / "documents.parquet", corpus)
    run.update(sizes=list(ids.sizes))


def keep(change: Change, ids: IdTable | None, corpus: Corpus, vectors: np.ndarray | None = None) -> None:
    """Other documents, and their IDs and vectors where it has any, in a run; its report stays as it was learned."""
    if vectors is not None:
        from lmindexer.indexers.kept_vectors import VECTORS, save_given  # torch

        save_given(change.path(VECTORS), corpus, vectors)
    if ids is not None:
        save_table(change.path, ids)
        change.facts |= {"sizes": list(ids.sizes)}
    save_documents(change.path("documents.parquet"), corpus)
    of_corpus = {"documents": len(corpus), "fingerprint": corpus.fingerprint}
    change.facts |= {"corpus": of_corpus, "changed_since_learned": True}
    for stale in ("report.md", "explore.html"):
        (change.run.path / stale).unlink(missing_ok=True)


def save_table(place: Callable[[str], Path], ids: IdTable) -> None:
    """ids.parquet and ids.jsonl, each at the path that `place` gives it."""
    ids.save(place("ids.parquet"))
    ids.export(place("ids.jsonl"), "jsonl")


def has_ids(run: Run) -> bool:
    """Whether the documents of a run have IDs."""
    return run.config.indexer != NO_IDS


def no_ids(run: Run) -> InputError:
    """What to say where a run of `--indexer none` is asked for IDs."""
    return InputError(
        f"{run.path} has documents and no IDs (--indexer none); learn it with another --indexer, or ask it by a "
        "--method that needs none, such as bm25"
    )


def load_ids(run: Run) -> IdTable:
    """The IDs of a run. Raises InputError when it has none, or when their file is missing or damaged."""
    if not has_ids(run):
        raise no_ids(run)
    path = run.file("ids.parquet")
    ids = IdTable.load(path)
    if ids.suffix is None:
        raise InputError(f"{path} is damaged (its IDs have no suffix); learn the run anew")
    if list(ids.sizes) != run.facts.get("sizes", list(ids.sizes)):
        raise InputError(f"{path} is of other codebooks than run.json says; learn the run anew")
    return ids


def documents_and_perhaps_ids(run: Run) -> tuple[Corpus, IdTable | None]:
    """As `documents_and_ids`, but of a run without IDs the documents alone."""
    return documents_and_ids(run) if has_ids(run) else (load_documents(run), None)


def documents_and_ids(run: Run) -> tuple[Corpus, IdTable]:
    """What a run holds: row n of both is of the same document.

    Raises:
        InputError: when a file is missing or damaged, or the two are not of the same documents.
    """
    corpus, ids = load_documents(run), load_ids(run)
    check_agreement(run, corpus, ids)
    return corpus, ids


def check_agreement(run: Run, corpus: Corpus, ids: IdTable) -> None:
    """Raise InputError unless row n of both is of the same document."""
    if corpus.doc_ids != ids.doc_ids:
        raise InputError(
            f"the IDs and the documents of {run.path} do not belong together; mend it with: lmindexer check "
            f"{run.path} --mend"
        )


def save_backbone(run: Run, backbone: "Backbone") -> None:
    """The pretrained model and its tokenizer, in the run's folder backbone/."""
    write_folder(run.path / "backbone", backbone.save)


def save_documents(path: Path, corpus: Corpus, chunk: int = 10_000) -> None:
    """The documents as Parquet, written `chunk` at a time."""

    def write(path: object) -> None:
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for at in range(0, len(corpus), chunk):
                part = [corpus[row] for row in range(at, min(at + chunk, len(corpus)))]
                columns = [[d.id for d in part], [d.text for d in part], [list(d.label) for d in part]]
                writer.write_table(pa.table(columns, schema=SCHEMA))

    write_atomically(path, write)


def load_documents(run: Run) -> Corpus:
    """The corpus back; raises InputError when the file is gone or damaged."""
    path = run.file("documents.parquet")
    try:
        file = pq.ParquetFile(path)
        documents = (_document(row) for batch in file.iter_batches(10_000) for row in batch.to_pylist())
        return Corpus.from_documents(documents, keep_empty=True)
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is damaged; learn the run anew") from error


def _document(row: dict[str, Any]) -> Document:
    """A row of documents.parquet. Raises TypeError where it is none."""
    if not isinstance(row["id"], str) or not isinstance(row["text"], str) or not isinstance(row["label"], list):
        raise TypeError("a cell is not what it should be")
    return Document(row["id"], row["text"], tuple(row["label"]))
