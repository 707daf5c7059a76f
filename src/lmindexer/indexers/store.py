"""The documents a run was learned from, kept in its folder so that every later verb can show them."""

import pyarrow as pa
import pyarrow.parquet as pq

from lmindexer.corpus.documents import Corpus, Document
from lmindexer.errors import InputError
from lmindexer.files import write_atomically
from lmindexer.runs import Run

SCHEMA = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("label", pa.list_(pa.string()))])


def save_documents(run: Run, corpus: Corpus, chunk: int = 10_000) -> None:
    """documents.parquet, written `chunk` documents at a time."""

    def write(path: object) -> None:
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for at in range(0, len(corpus), chunk):
                part = [corpus[row] for row in range(at, min(at + chunk, len(corpus)))]
                columns = [[d.id for d in part], [d.text for d in part], [list(d.label) for d in part]]
                writer.write_table(pa.table(columns, schema=SCHEMA))

    write_atomically(run.path / "documents.parquet", write)


def load_documents(run: Run) -> Corpus:
    """The corpus back; raises InputError when the file is gone or damaged."""
    path = run.path / "documents.parquet"
    if not path.exists():
        raise InputError(f"{path} is missing; the run folder is incomplete, learn it anew")
    try:
        file = pq.ParquetFile(path)
        documents = (
            Document(row["id"], row["text"], tuple(row["label"]))
            for batch in file.iter_batches(10_000)
            for row in batch.to_pylist()
        )
        return Corpus.from_documents(documents, keep_empty=True)
    except (pa.ArrowException, KeyError) as error:
        raise InputError(f"{path} is damaged; learn the run anew") from error
