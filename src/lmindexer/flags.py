"""Settings as command-line flags: one option for each field of a config, and the config they make."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from lmindexer.config import LearnConfig
from lmindexer.errors import InputError
from lmindexer.settings import MAY_CHANGE, check_counting, element_type, parse, read_toml

Config = TypeVar("Config")
SCOPES = {"indexer": "--indexer", "embeddings": "--embeddings", "task": "--task", "method": "--method"}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


class Grouped(click.Command):
    """A command whose --help lists its options under headings.

    Beside --help, an option of `SCOPES` such as --indexer hc leaves only the settings that count for it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As of any command, but what is given beside --help is kept for `format_options`."""
        flags = dict(zip(args, [*args[1:], ""], strict=False)) | dict(arg.split("=", 1) for arg in args if "=" in arg)
        ctx.meta["scopes"] = {name: flags[flag] for name, flag in SCOPES.items() if flag in flags}
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        scopes = _scopes(ctx)
        for parameter in self.get_params(ctx):
            of = getattr(parameter, "of", ())
            record = parameter.get_help_record(ctx)
            if record is None or not isinstance(parameter, click.Option) or (of and scopes and not scopes & set(of)):
                continue
            if of and not scopes:
                record = record[0], f"({', '.join(of)}) {record[1]}"
            groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records)


def _scopes(ctx: click.Context) -> frozenset[str]:
    """What the options beside --help say that settings must count for; none where they say nothing."""
    kind = next((parameter.kind for parameter in ctx.command.params if isinstance(parameter, Setting)), None)
    given = {name: value for name, value in ctx.meta.get("scopes", {}).items() if hasattr(kind, name)}
    return frozenset(parse(kind, given, "the command line").scopes) if kind is not None and given else frozenset()


class Setting(click.Option):
    """An option made from a field of a config, which is of this `kind`."""

    def __init__(self, field: "dataclasses.Field[Any]", default: Any, kind: Any) -> None:
        self.kind = kind
        type_, many = element_type(field)
        flag = _flag(field.name)
        help = field.metadata["help"]
        self._default, self._presets = default, field.metadata["presets"]
        if type_ is bool and not many:
            super().__init__([f"{flag}/--no-{flag[2:]}"], default=None, help=help)
        else:
            choices = field.metadata["choices"]
            metavar = "|".join(choices) if choices else f"{type_.__name__.upper()}{',...' if many else ''}"
            super().__init__([flag], type=str, default=None, help=help, metavar=metavar.replace("STR", "TEXT"))
        self.group, self.of = field.metadata["group"], field.metadata["of"]

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The flag, and its help with the default; with all defaults where nothing beside --help chooses one."""
        record = super().get_help_record(ctx)
        chosen = [value for name, value in self._presets.items() if name in _scopes(ctx)]
        if record is None or not _shown(self._default):
            return record
        by_value: dict[str, list[str]] = {}
        for name, value in self._presets.items():
            by_value.setdefault(_shown(value), []).append(name)
        values = [_shown(self._default), *(f"{', '.join(names)}: {value}" for value, names in by_value.items())]
        return record[0], f"{record[1]} [{_shown(chosen[0]) if chosen else '; '.join(values)}]"


def settings(
    kind: type = LearnConfig, leave_out: str = "", **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add one option for every setting of `kind`, but for those of the group `leave_out`."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for field in reversed(dataclasses.fields(kind)):
            if field.metadata["group"] != leave_out:
                option = Setting(field, defaults.get(field.name, field.metadata["default"]), kind)
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
    flags = {name: value for name, value in given.items() if value is not None}
    wanted |= flags
    whose = {} if begun is None else {name: getattr(begun[1], name) for name in SCOPES if hasattr(begun[1], name)}
    config = parse(kind, (defaults or {}) | whose | wanted, "the command line")
    check_counting(config, flags, "the command line")
    check_counting(config, wanted.keys() - flags.keys(), str(recipe))
    if begun is None:
        return config
    folder, earlier = begun
    changed = {name: getattr(config, name) for name in wanted if name in MAY_CHANGE}
    for name in wanted.keys() - changed.keys():
        before, now = getattr(earlier, name), getattr(config, name)
        if before != now:
            raise InputError(
                f"{folder} was begun with {_flag(name)} {_shown(before)}, not {_shown(now)}; "
                "resume without changing it, or choose another --out"
            )
    return dataclasses.replace(earlier, **changed)  # type: ignore[type-var]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
