"""What users took, oldest first, from a file or from Python; which documents these are is found out later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmindexer.errors import check_list
from lmindexer.questions.events import Taken, by_user
from lmindexer.values import DocId, id_text, id_texts


@dataclass(frozen=True, repr=False)
class Histories:
    """What every user took: `taken["user"]` is a list of document ids, oldest first."""

    taken: Taken
    notes: tuple[str, ...] = ()  # what was left out
    source: str = "the histories"  # in messages
    parts: Mapping[str, list[int]] | None = (
        None  # of every user's items, places in sequences.PARTS; None: leave one out
    )

    @classmethod
    def read(cls, path: str | Path) -> "Histories":
        """A log of what users took, in the forms of `interactions.read_interactions`. Raises InputError as it does."""
        from lmindexer.questions.interactions import read_interactions

        return replace(read_interactions(Path(path)), source=str(path))

    @classmethod
    def of(cls, data: "HistoryData") -> "Histories":
        """Of {user: ids}, a list of lists of ids (users are then 0, 1, ...), a path, or histories as they are.

        Raises InputError for anything else, one text where a list is meant, and a user who took nothing.
        """
        if isinstance(data, Histories):
            return data
        if isinstance(data, str | Path):
            return cls.read(data)
        check_list(data, cls.source)
        pairs = data.items() if isinstance(data, Mapping) else enumerate(data)
        found = ((n, id_text(user), id_texts(items, f"what user {user} took")) for n, (user, items) in enumerate(pairs))
        return cls(by_user(cls.source, "history", found))

    def __len__(self) -> int:
        return len(self.taken)

    def __repr__(self) -> str:
        return f"Histories({len(self):,} users, {sum(map(len, self.taken.values())):,} items)"


HistoryData = Histories | Mapping[Any, Iterable[DocId]] | Iterable[Iterable[DocId]] | str | Path
