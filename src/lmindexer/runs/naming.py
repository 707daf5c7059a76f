"""What runs are named side by side."""

from collections.abc import Sequence
from pathlib import Path

from lmindexer.errors import InputError


def names_of(runs: Sequence[Path]) -> list[str]:
    """Name every run after its folder, or by its whole path where two folders have one name.

    Raises InputError where one run is named twice.
    """
    places = [run.resolve() for run in runs]
    short = [place.name for place in places]
    names = [name if short.count(name) == 1 else str(run) for name, run in zip(short, runs, strict=True)]
    for name, place in zip(names, places, strict=True):
        if places.count(place) > 1:
            raise InputError(f"the run {name} is named twice; name each once")
    return names
