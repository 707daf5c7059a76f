"""A run folder: every verb reads and writes one. Files appear whole or not at all, and a change is one rename.

run.json (state, versions, corpus, and each file's present name and digest), config.toml, log.jsonl,
checkpoint.safetensors while learning; then documents.parquet, ids.parquet, ids.jsonl, indexer.safetensors,
reconstructor.safetensors, backbone/, report.json, report.md and curves.png. What fine-tuning adds is named in
methods/generative/folder and teaching/fine_tuning. A change (add, remove) writes new generations of files beside
the old ones, such as ids.1.parquet, and then run.json, which names them.
"""

from lmindexer.runs.change import Change, changing
from lmindexer.runs.copying import copy_run
from lmindexer.runs.folder import Run
from lmindexer.runs.lock import ReadOnlyError, writing
from lmindexer.runs.naming import names_of

__all__ = ["Change", "ReadOnlyError", "Run", "changing", "copy_run", "names_of", "writing"]
