"""Settings as command-line flags: one option for each field of a config, and the config they make."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lmindexer.config import LearnConfig
from lmindexer.errors import InputError
from lmindexer.settings import MAY_CHANGE, element_type, parse, read_toml

Config = TypeVar("Config")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


class Grouped(click.Command):
    """A command whose --help lists its options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


class Setting(click.Option):
    """An option made from a field of a config."""

    def __init__(self, field: "dataclasses.Field[Any]", default: Any) -> None:
        kind, many = element_type(field)
        flag = _flag(field.name)
        values = [_shown(default), *(f"{name}: {_shown(value)}" for name, value in field.metadata["presets"].items())]
        help = field.metadata["help"] + (f" [{'; '.join(values)}]" if values[0] else "")
        if kind is bool and not many:
            super().__init__([f"{flag}/--no-{flag[2:]}"], default=None, help=help)
        else:
            choices = field.metadata["choices"]
            metavar = "|".join(choices) if choices else f"{kind.__name__.upper()}{',...' if many else ''}"
            super().__init__([flag], type=str, default=None, help=help, metavar=metavar.replace("STR", "TEXT"))
        self.group = field.metadata["group"]


def settings(
    kind: type = LearnConfig, leave_out: str = "", **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add one option for every setting of `kind`, but for those of the group `leave_out`."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for field in reversed(dataclasses.fields(kind)):
            if field.metadata["group"] != leave_out:
                option = Setting(field, defaults.get(field.name, field.metadata["default"]))
                command.__dict__.setdefault("__click_params__", []).append(option)
        return command

    return add


def resolve(
    kind: type[Config],
    recipe: Path | None,
    given: dict[str, Any],
    begun: tuple[Path, Config] | None,
    defaults: dict[str, Any] | None = None,
) -> Config:
    """The recipe's settings, then the flags'; of a `begun` run (folder, settings) its own, with which these agree."""
    from_recipe = read_toml(recipe) if recipe is not None else {}
    parse(kind, from_recipe, str(recipe))
    wanted = {name.replace("-", "_"): value for name, value in from_recipe.items()}
    wanted |= {name: value for name, value in given.items() if value is not None}
    config = parse(kind, (defaults or {}) | wanted, "the command line")
    if begun is None:
        return config
    folder, earlier = begun
    changed = {name: getattr(config, name) for name in wanted if name in MAY_CHANGE}
    for name in wanted.keys() - changed.keys():
        own, new = getattr(earlier, name), getattr(config, name)
        if own != new:
            raise InputError(
                f"{folder} was begun with {_flag(name)} {_shown(own)}, not {_shown(new)}; "
                "resume without changing it, or choose another --out"
            )
    return dataclasses.replace(earlier, **changed)  # type: ignore[type-var]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
