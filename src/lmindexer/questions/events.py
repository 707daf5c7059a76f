"""Events, put in order by time, user by user."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from lmindexer.corpus.document import LONE_SURROGATE
from lmindexer.errors import InputError, excerpt

Taken = dict[str, list[str]]  # user -> items, oldest first

_DATE = re.compile(
    r"(?P<to_second>\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?)(?:[.,](?P<fraction>\d+))?"
    r"\s*(?P<zone>Z|[+-]\d\d:?\d\d)?"
)


@dataclass(frozen=True)
class Event:
    user: str
    item: str
    time: float | None  # in any unit


def time_in(value: Any) -> float | None:
    """A number that rises with time; None where there is none. A date is in ns since 1970, without a zone in UTC."""
    if isinstance(value, str):
        text = value.strip()
        if text.removeprefix("-").isdecimal() and len(text) < 30:
            return int(text)
        try:
            return time_in(float(text))
        except ValueError:
            pass
        date = _DATE.fullmatch(text)
        try:
            moment = datetime.fromisoformat(date["to_second"] + (date["zone"] or "")) if date else None
        except ValueError:
            moment = None
        if date is None or moment is None:
            return None
        since = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 10**9 + int((date["fraction"] or "").ljust(9, "0")[:9])
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return value if isinstance(value, int) else float(value) if math.isfinite(value) else None


def by_user(path: object, unit: str, found: Iterable[tuple[int, str, list[str]]]) -> Taken:
    """Of number, user and items of each record. Raises InputError for a user who is there twice or took nothing."""
    taken: Taken = {}
    places: dict[str, int] = {}
    for number, user, items in found:
        where = f"{path}, {unit} {number}"
        if LONE_SURROGATE.search(user):
            raise InputError(f"{where}: the user {excerpt(user)} holds half a character (a lone surrogate); rename it")
        if user in taken:
            raise InputError(
                f"{where}: user {excerpt(user)} was already in {unit} {places[user]}; put all that a user took into "
                f"one {unit}"
            )
        if not items:
            raise InputError(f"{where}: user {excerpt(user)} took nothing; give at least one item, or no {unit}")
        taken[user], places[user] = items, number
    return taken


def in_order(events: Iterable[Event]) -> tuple[Taken, tuple[str, ...]]:
    """What each user took by time, and notes; events of one time stay in order, one that stands twice is one."""
    events_of: dict[str, list[Event]] = {}
    total = repeated = tied = 0
    for event in events:
        total += 1
        events_of.setdefault(event.user, []).append(event)
    taken: Taken = {}
    for user, events_of_user in events_of.items():
        if events_of_user[0].time is not None:
            distinct = list(dict.fromkeys(events_of_user))
            repeated += len(events_of_user) - len(distinct)
            events_of_user = sorted(distinct, key=lambda event: event.time or 0)
            tied += sum(one.time == other.time for one, other in pairwise(events_of_user))
        taken[user] = [event.item for event in events_of_user]
    notes = []
    if repeated:
        notes.append(f"{repeated:,} of {total:,} events stand twice (one user, item and time) and are left out")
    if tied:
        notes.append(
            f"{tied:,} of {total - repeated:,} events have the time of another of their user: the order of the file "
            "decides"
        )
    return taken, tuple(notes)
