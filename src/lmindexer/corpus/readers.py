"""Which reader reads a file, by the end of its name; each format has a file of its own.

A reader answers two questions: what a file holds (a survey of all of it), and which records. A fault of one record
is handed on as a `RecordError`, so that the caller may skip it; a fault of the whole file raises.
"""

from lmindexer.corpus import json_records, parquet
from lmindexer.corpus.records import Reader, Record, RecordError, Survey
from lmindexer.corpus.tables import CSV, TSV

JSON = Reader(json_records.survey, json_records.records)
PARQUET = Reader(parquet.survey, parquet.records)

READERS: dict[str, Reader] = {
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".json": JSON,
    ".csv": CSV,
    ".tsv": TSV,
    ".item": TSV,  # RecBole's
    ".parquet": PARQUET,
}

__all__ = ["READERS", "Reader", "Record", "RecordError", "Survey"]
