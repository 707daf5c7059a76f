"""The events of a log as arrays: 16 bytes an event, and each id once. Filtered and put in order (section 4.3)."""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lmindexer.questions.events import Event


@dataclass(frozen=True, eq=False)
class EventTable:
    """R events: who took what and when. Users and items are numbered as they first come."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    user: np.ndarray  # (R,) int32
    item: np.ndarray  # (R,) int32
    time: np.ndarray  # (R,) float64, in any unit

    def __len__(self) -> int:
        return len(self.user)

    def select(self, rows: np.ndarray) -> "EventTable":
        """Some of the events, by a mask or in the order of their numbers."""
        return EventTable(self.users, self.items, self.user[rows], self.item[rows], self.time[rows])

    @property
    def items_left(self) -> set[str]:
        """The ids of the items that any event is of."""
        return {self.items[number] for number in np.unique(self.item).tolist()}

    @property
    def users_left(self) -> int:
        """How many users have any event."""
        return len(np.unique(self.user))


def gather(events: Iterable[Event]) -> EventTable:
    """The events of a log; where they have no times, their places in it stand for these."""
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    user, item, time = array("i"), array("i"), array("d")
    for place, event in enumerate(events):
        user.append(users.setdefault(event.user, len(users)))
        item.append(items.setdefault(event.item, len(items)))
        time.append(place if event.time is None else event.time)
    return EventTable(tuple(users), tuple(items), _as_numpy(user), _as_numpy(item), _as_numpy(time))


def _as_numpy(values: array) -> np.ndarray:
    return np.frombuffer(values, dtype=values.typecode) if values else np.zeros(0, values.typecode)


def without_repeats(table: EventTable) -> EventTable:
    """Of events with the same user, item and time the first one, in the order of the log."""
    order = np.lexsort((table.time, table.item, table.user))
    columns = [column[order] for column in (table.user, table.item, table.time)]
    again = np.zeros(len(table), bool)
    again[1:] = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
    return table.select(np.sort(order[~again]))


def core(table: EventTable, least: int) -> EventTable:
    """The k-core: users and items with fewer than `least` events are left out, again and again until none is left."""
    kept = table
    while True:
        of_users, of_items = np.bincount(kept.user), np.bincount(kept.item)
        enough = (of_users[kept.user] >= least) & (of_items[kept.item] >= least)
        if enough.all():
            return kept
        kept = kept.select(enough)


def tied(table: EventTable) -> np.ndarray:
    """(R,) whether an event of a table in order has the time of a neighbour of the same user."""
    same = (table.user[1:] == table.user[:-1]) & (table.time[1:] == table.time[:-1])
    found = np.zeros(len(table), bool)
    found[1:] |= same
    found[:-1] |= same
    return found


def in_time(table: EventTable, shuffled: bool, seed: int) -> EventTable:
    """Users as they first come, and the events of each by time.

    Events of one time are put in the order of `tie_key` where `shuffled`, else they stay in the order of the log.
    """
    table = table.select(np.lexsort((table.time, table.user)))
    if not shuffled:
        return table
    keys = np.zeros(len(table), np.uint64)
    for row in np.flatnonzero(tied(table)).tolist():
        keys[row] = tie_key(table.users[table.user[row]], table.items[table.item[row]], seed)
    return table.select(np.lexsort((keys, table.time, table.user)))


def tie_key(user: str, item: str, seed: int) -> int:
    """A 64-bit number by which events of one user and time are ordered: a hash of seed, user and item.

    A log often has all that a user took on one day in the order of the items' ids. A hash of the item alone would be
    one more such order, the same for every user, and a model that learns a vector for each item could learn it. With
    the user in it, no item comes before another more often than by chance.
    """
    text = f"{seed}\0{user}\0{item}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
