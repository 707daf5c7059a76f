"""Which columns hold the id, the text and the label: those a user names, else the usual ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmindexer.corpus.cells import id_in
from lmindexer.corpus.records import Record
from lmindexer.errors import InputError, excerpt

ID_NAMES = (
    *("id", "_id", "doc_id", "asin", "docid", "parent_asin", "item_id", "itemid", "movieid", "movie_id"),
    *("product_id", "productid", "book_id", "business_id", "pid"),
)
TEXT_NAMES = ("title", "text", "body", "abstract", "description", "contents")
NAMES_TOLD = 12  # columns in a message


@dataclass(frozen=True)
class Fields:
    """The columns that make a document."""

    id: str
    text: tuple[str, ...]
    label: str = ""  # "" where there is none
    keep_markup: bool = False

    @classmethod
    def choose(
        cls,
        path: object,
        columns: Mapping[str, bool],
        *,
        id: str,
        text: Sequence[str],
        label: str,
        headed: bool = False,
        textless: bool = False,
    ) -> "Fields":
        """The named columns, which must exist; for those not named, the usual names that do.

        `columns` says of each whether it holds text; `headed`, whether a first line named them; `textless`, whether
        there may be no column of text.
        """
        present = _listed(columns)
        asked = [("id", id), *(("text", name) for name in text), ("label", label)]
        for use, name in asked:
            if name and name not in columns:
                raise InputError(
                    f"{path} has no column {excerpt(name)} to take the {use} from; its columns are {present}"
                )
        id = id or next(iter(usual_names(columns, ID_NAMES)), "")
        if not id:
            header = ", or put in a header if its first line is none" if headed else ""
            raise InputError(f"{path} has none of the usual id columns; name one of {present} with --id{header}")
        text = tuple(text) or usual_text(columns)
        if not text and not textless:
            raise InputError(f"{path} has none of the usual text columns; name some of {present} with --text")
        return cls(id, text, label)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Fields":
        """What `to_mapping` gave."""
        return cls(values["id"], tuple(values["text"]), values["label"], values["keep_markup"])

    def to_mapping(self) -> dict[str, Any]:
        return {"id": self.id, "text": list(self.text), "label": self.label, "keep_markup": self.keep_markup}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for name in (self.id, *self.text, self.label) if name))

    def id_of(self, record: Record) -> str:
        """Raises RecordError where there is none."""
        return id_in(record.get(self.id), self.id)


def usual_names(columns: Iterable[str], names: Sequence[str]) -> tuple[str, ...]:
    """The columns called by one of `names`, in the order of these; upper and lower case are alike."""
    exact = set(columns)
    lower: dict[str, str] = {}
    for column in columns:
        lower.setdefault(column.lower(), column)
    found = (name if name in exact else lower.get(name.lower(), "") for name in names)
    return tuple(dict.fromkeys(name for name in found if name))


def usual_text(columns: Mapping[str, bool]) -> tuple[str, ...]:
    """The usual text columns that hold text."""
    return tuple(name for name in usual_names(columns, TEXT_NAMES) if columns[name])


def _listed(columns: Iterable[str]) -> str:
    names = [excerpt(name, 40) for name in columns]
    more = f" and {len(names) - NAMES_TOLD:,} more" if len(names) > NAMES_TOLD else ""
    return ", ".join(names[:NAMES_TOLD]) + more
