"""The settings of learning and of teaching, in groups by indexer, task and method."""

from lmindexer.config.learning import (
    DATA,
    IMPORTED,
    INDEXER_NAMES,
    NO_IDS,
    LearnConfig,
    from_mapping,
)
from lmindexer.config.teaching import RENAMED, SEQUENTIAL, FinetuneConfig

__all__ = [
    "DATA",
    "IMPORTED",
    "INDEXER_NAMES",
    "NO_IDS",
    "RENAMED",
    "SEQUENTIAL",
    "FinetuneConfig",
    "LearnConfig",
    "from_mapping",
]
