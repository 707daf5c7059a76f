"""The settings of learning and of teaching, in groups by indexer, task and method."""

from lmindexer.config.learning import (
    DATA,
    GIVEN,
    IMPORTED,
    INDEXER_NAMES,
    NO_IDS,
    VECTOR_FILE,
    LearnConfig,
    from_mapping,
)
from lmindexer.config.teaching import RENAMED, SEQUENTIAL, FinetuneConfig
from lmindexer.config.writing import WriterConfig, WritingConfig

__all__ = [
    "DATA",
    "GIVEN",
    "IMPORTED",
    "INDEXER_NAMES",
    "NO_IDS",
    "RENAMED",
    "SEQUENTIAL",
    "VECTOR_FILE",
    "FinetuneConfig",
    "LearnConfig",
    "WriterConfig",
    "WritingConfig",
    "from_mapping",
]
