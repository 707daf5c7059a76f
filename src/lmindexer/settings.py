"""Settings as frozen dataclasses <-> TOML <-> command-line flags. An unknown key is an error."""

import dataclasses
import difflib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from lmindexer.errors import InputError

Config = TypeVar("Config")
MAY_CHANGE = ("device", "checkpoint_seconds")  # when a run is resumed: they say where and how often, not what
OPEN: Any = type("Open", (), {"__repr__": lambda self: "OPEN"})()  # of a setting that a preset fills in


def setting(
    default: Any,
    help: str,
    group: str,
    choices: tuple[str, ...] = (),
    presets: Mapping[str, Any] | None = None,
    of: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that also carries what `--help` says of it.

    `of` names for what it counts, such as indexers or a task (one of the `scopes` of the config); (): for all.
    With `presets` its value is `OPEN` until `fill` puts in that of a preset, or `default` where it has none.
    """
    metadata = {"help": help, "group": group, "choices": choices, "default": default, "presets": presets or {}}
    metadata["of"] = of
    return field(default=OPEN if presets else default, metadata=metadata)


def fill(config: Any, *presets: str) -> None:
    """Give every setting of a frozen dataclass that was left `OPEN` its value in the first of the presets it has."""
    for f in dataclasses.fields(config):
        if getattr(config, f.name) is OPEN:
            values = [f.metadata["presets"][name] for name in presets if name in f.metadata["presets"]]
            object.__setattr__(config, f.name, [*values, f.metadata["default"]][0])


def parse(kind: type[Config], values: Mapping[str, Any], origin: str = "the settings") -> Config:
    """A dataclass of `setting` fields from TOML or Python values; raises InputError naming the key that is wrong."""
    known = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    typed = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            if name in (renamed := getattr(kind, "renamed", {})):
                hint = f"it is {renamed[name]!r} now"
            raise InputError(f"{origin}: unknown key {key!r}; {hint}")
        typed[name] = _typed(known[name], value, origin)
    try:
        return kind(**typed)
    except InputError as error:
        raise InputError(f"{origin}: {error}") from None


def counting(config: Any) -> "list[dataclasses.Field[Any]]":
    """The settings that count for what the config is of: its `scopes` are the names that `of` may give.

    The config has a `title`, too, which is what it is of, in a word or three.
    """
    return [f for f in dataclasses.fields(config) if not f.metadata["of"] or config.scopes & set(f.metadata["of"])]


def check_counting(config: Any, given: Iterable[str], origin: str) -> None:
    """Raise InputError for a setting that was given and does not count; `given` are names of fields."""
    count = {f.name for f in counting(config)}
    for f in dataclasses.fields(config):
        if f.name in given and f.name not in count:
            known = " or ".join(f.metadata["of"])
            raise InputError(f"{origin}: {f.name} is a setting of {known}, not of {config.title}; leave it out")


def same_settings(one: Any, other: Any) -> bool:
    """Whether two configs differ at most in what may change when a run goes on (`MAY_CHANGE`), or does not count."""
    return one.scopes == other.scopes and all(
        getattr(one, f.name) == getattr(other, f.name) for f in counting(one) if f.name not in MAY_CHANGE
    )


def read_toml(path: Path) -> dict[str, Any]:
    """The keys of a recipe; raises InputError when it is missing or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no recipe {path}; name a TOML file such as recipes/beauty.toml") from None
    except IsADirectoryError:
        raise InputError(f"the recipe {path} is a folder; name a TOML file in it") from None
    except (ValueError, RecursionError) as error:  # broken; not UTF-8; a number of 5000 digits; 1000 brackets
        raise InputError(f"{path} is not valid TOML: {error}") from None


def to_toml(config: Any) -> str:
    """The resolved config as TOML that `--config` reads back: the settings that count."""
    lines = []
    for f in counting(config):
        value = getattr(config, f.name)
        lines.append(f"{f.name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")  # the one character that JSON allows bare and TOML does not


def element_type(f: "dataclasses.Field[Any]") -> tuple[type, bool]:
    """The scalar type of a field and whether the field is a comma-separated list of it."""
    hint: Any = f.type
    if get_origin(hint) is tuple:
        return get_args(hint)[0], True
    return hint, False


def _typed(f: "dataclasses.Field[Any]", value: Any, origin: str) -> Any:
    kind, many = element_type(f)
    try:
        if not many:
            return _scalar(kind, value)
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(_scalar(kind, v) for v in values)
    except (TypeError, ValueError, OverflowError):
        wanted = f"a list of {kind.__name__}" if many else kind.__name__
        raise InputError(f"{origin}: {f.name} must be {wanted}, not {value!r}") from None


def _scalar(kind: type, value: Any) -> Any:
    if kind is bool:
        if not isinstance(value, bool):
            raise TypeError
        return value
    if kind is str and not isinstance(value, str):
        raise TypeError
    if isinstance(value, bool) or (kind is int and float(value) != int(value)):
        raise TypeError
    return kind(value)


def check_settings(config: Any, positive: tuple[str, ...]) -> None:
    """Raise InputError unless choices are kept, lists hold numbers, nothing is negative and `positive` are above 0."""
    for f in dataclasses.fields(config):
        choices = f.metadata["choices"]
        if choices and getattr(config, f.name) not in choices:
            raise InputError(f"{f.name} must be one of {', '.join(choices)}, not {getattr(config, f.name)!r}")
    for name in positive:
        if not getattr(config, name) > 0:
            raise InputError(f"{name} must be above 0, not {getattr(config, name)}")
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        numbers = [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, int | float)]
        if not all(v >= 0 for v in numbers):
            raise InputError(f"{f.name} must not be negative, but is {_shown(value)}")
        if value == () and f.default != ():
            raise InputError(f"{f.name} must have at least one number")


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
