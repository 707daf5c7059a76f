"""How good the IDs of a run are, as a notebook shows it."""

from dataclasses import dataclass
from typing import Any

from lmindexer.explore.report import quality_table, summary


@dataclass(frozen=True, repr=False)
class Report:
    """The numbers of report.json."""

    numbers: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return self.numbers

    def to_markdown(self) -> str:
        """A table of the quality, and what else is to be said, in sentences."""
        return "\n".join([*quality_table(self.numbers), "", *(f"{line}\n" for line in summary(self.numbers))])

    def __repr__(self) -> str:
        return f"Report({summary(self.numbers)[0]})"

    def __str__(self) -> str:
        return self.to_markdown()

    def _repr_markdown_(self) -> str:
        return self.to_markdown()
