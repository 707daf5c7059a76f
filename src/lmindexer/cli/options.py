"""The options of the verbs, whose help reads as that of a setting does (`flags.Setting`)."""

from collections.abc import Callable
from functools import partial
from typing import Any

import click


class Option(click.Option):
    """An option whose help ends with its default in brackets: "How many documents to find. [10]".

    A default in words is part of the help. The values of a choice stand between bars, without brackets.
    """

    def __init__(self, *arguments: Any, **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        if isinstance(self.type, click.Choice):
            self.metavar = "|".join(map(str, self.type.choices))
        default = attributes.get("default", "")
        shown = "required" if self.required else ",".join(default) if isinstance(default, list) else str(default)
        self.full_help = f"{self.help} [{shown}]" if shown else self.help or ""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The flag with its kind of value, and the help with the default."""
        record = super().get_help_record(ctx)
        return None if record is None else (record[0], self.full_help)


option = partial(click.option, cls=Option)


def together(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """One decorator that adds several options to a verb; --help lists them in this order."""

    def add(command: Any) -> Any:
        for one in reversed(options):
            command = one(command)
        return command

    return add
