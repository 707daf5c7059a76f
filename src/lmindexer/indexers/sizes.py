"""How many codes a position has where nobody says: from the number of documents."""

from pathlib import Path

from lmindexer.config import LearnConfig
from lmindexer.errors import InputError
from lmindexer.progress import Progress
from lmindexer.runs import Run

GROUP = 16  # documents a first code at least, where the sizes are chosen here
NO_GROUP = 3  # with fewer documents a code, codes are no groups
WITHOUT_SIZES = ("hc",)  # its tree is as deep as the documents ask


def default_sizes(documents: int) -> tuple[int, int]:
    """Two positions of a power of two: twice as many paths as documents, but GROUP documents a code (and 2 codes)."""
    size = 2
    while size * size < 2 * documents:
        size *= 2
    while size > 2 and size * GROUP > documents:
        size //= 2
    return size, size


def with_sizes(config: LearnConfig, documents: int, begun: Path | None = None) -> LearnConfig:
    """`config` with its sizes, or else those of the run that was `begun`, or else those that `documents` ask for.

    Raises InputError when the documents are too few for the sizes.
    """
    if config.indexer in WITHOUT_SIZES:
        return config
    if not config.sizes:
        begun_sizes = Run.open(begun, finished=False).config.sizes if begun is not None else ()
        return config.replace(sizes=begun_sizes or default_sizes(documents))
    if max(config.sizes) > documents:
        raise InputError(
            f"sizes {_shown(config.sizes)} ask for more codes than there are documents ({documents}); "
            f"{_way_out(documents)}"
        )
    return config


def say_sizes(config: LearnConfig, user_sizes: tuple[int, ...], documents: int, progress: Progress) -> None:
    """Tell what sizes were taken where there are no `user_sizes`, and warn of `user_sizes` that make no groups."""
    if config.indexer in WITHOUT_SIZES:
        return
    if not user_sizes:
        progress.say(f"sizes {_shown(config.sizes)}, from the number of documents; --sizes sets others")
    elif documents < NO_GROUP * max(user_sizes) and config.indexer != "random":
        progress.warn(
            f"sizes {_shown(user_sizes)} are only {documents / max(user_sizes):.1f} documents a code, too few for "
            f"groups that mean anything; {_way_out(documents)}"
        )


def _way_out(documents: int) -> str:
    return f"leave --sizes out for {_shown(default_sizes(documents))}, or give smaller ones"


def _shown(sizes: tuple[int, ...]) -> str:
    return ",".join(map(str, sizes))
