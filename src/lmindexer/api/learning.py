"""From documents to a run: what learns IDs, and IDs that were made elsewhere."""

from pathlib import Path
from typing import Any, ClassVar, Self

from lmindexer.api.folders import place_of
from lmindexer.api.run import OpenRun
from lmindexer.config import NO_IDS, LearnConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.corpus.vectors import Source
from lmindexer.errors import InputError
from lmindexer.indexers import lmindexer, two_step
from lmindexer.indexers.imported import import_ids as import_to
from lmindexer.indexers.registry import make_indexer
from lmindexer.progress import Progress


class Learning(OpenRun):
    """A run that is to be learned: `fit` makes it one that is open."""

    _kind: ClassVar[type[lmindexer.LMIndexer] | type[two_step.TwoStepIndexer]]

    def __init__(self, config: LearnConfig | None = None, **settings: Any) -> None:
        self._settings = self._kind(config, **settings).config

    @property
    def config(self) -> LearnConfig:
        """The settings; once it has learned, with all that was resolved."""
        return self._settings if self._run is None else self._run.config

    def fit(
        self,
        corpus: Corpus,
        out: str | Path | None = None,
        *,
        vectors: Source | None = None,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Learn the IDs of a corpus, in the run folder `out`, or in memory.

        With `vectors`, one a document as `read_vectors` says, no text is embedded. With `resume`, a run that was
        stopped goes on from its last checkpoint. Raises InputError when the corpus cannot carry the sizes, or `out`
        exists (or, with `resume`, does not hold a run on this corpus with these settings).
        """
        if resume and out is None:
            raise InputError("resume goes on with what was begun in a folder; name it with out=")
        folder, temporary = place_of(out)
        learned = self._kind(self._settings).fit(corpus, folder, vectors=vectors, resume=resume, progress=progress)
        self._take(folder, temporary, learned)
        return self


class LMIndexer(Learning):
    """Learns semantic IDs from text alone (Algorithm 1).

    `LMIndexer(sizes=(256, 256), seed=1)` takes every setting of `LearnConfig` as a keyword. Raises InputError for an
    unknown setting, or one out of range.
    """

    _kind = lmindexer.LMIndexer


class TwoStepIndexer(Learning):
    """Learns IDs by quantising what a text encoder says of each document.

    `TwoStepIndexer(indexer="rq-vae")` takes every setting of `LearnConfig` as a keyword; without `indexer` it is
    rq-kmeans. Raises InputError for an unknown setting, or one out of range.
    """

    _kind = two_step.TwoStepIndexer


def import_ids(
    ids: str | Path,
    corpus: Corpus,
    out: str | Path | None = None,
    *,
    last: str = "",
    keep_going: bool = False,
    progress: Progress | None = None,
) -> OpenRun:
    """A run of the documents of `corpus` with IDs that were made elsewhere, in the file `ids`.

    All else is as `indexers.imported.import_ids` says. With `out` the run lies in that folder, else in memory.
    """
    folder, temporary = place_of(out)
    import_to(ids, corpus, folder, last=last, keep_going=keep_going, progress=progress)
    return OpenRun.at(folder, temporary)


def without_ids(corpus: Corpus, out: str | Path | None = None) -> OpenRun:
    """A run of documents alone, for methods that need no IDs. With `out` it lies in that folder, else in memory."""
    folder, temporary = place_of(out)
    make_indexer(LearnConfig(indexer=NO_IDS)).fit(corpus, folder)
    return OpenRun.at(folder, temporary)
