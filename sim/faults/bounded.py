"""What all faults have in common: the parts of the exchange they meddle with, and their ends."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable

from sim.agenda import Agenda
from sim.clock import Clock
from sim.feed import Feed
from sim.listener import Listener
from sim.rest import Rest
from sim.streams import Streams


class Bounded:
    """Faults that end after some market time, or when the exchange is told to behave.

    Attributes:
        caused: how often each fault was caused, by name.
        walking: whether the market's clock goes.
    """

    symbol: str
    clock: Clock
    agenda: Agenda
    streams: Streams
    rest: Rest
    feed: Feed

    def __init__(self) -> None:
        self.caused: Counter[str] = Counter()
        self.walking = False
        self._ends: dict[object, tuple[Callable[[], None], bool]] = {}

    def until(self, key: object, for_ms: int | None, end: Callable[[], None]) -> None:
        """End a fault after ``for_ms``, or (None) when told to behave.

        A fault with the same key begins anew: only the last end counts.
        """
        entry = (end, for_ms is not None)
        self._ends[key] = entry
        if for_ms is None:
            return

        def finish() -> None:
            if self._ends.get(key) is entry:
                del self._ends[key]
                end()

        self.agenda.at(self.clock.now_ms + for_ms, finish)
        if not self.walking:
            after(for_ms / 1000, finish)

    def expire(self, for_ms: int | None, end: Callable[[], None]) -> None:
        """The same for what needs no end of its own unless it is bounded by time."""
        if for_ms is not None:
            self.until(object(), for_ms, end)

    def end_faults(self, *, bounded_only: bool) -> None:
        """End now what would end later: at the end of the market, no later comes."""
        for key, (end, bounded) in list(self._ends.items()):
            if bounded or not bounded_only:
                del self._ends[key]
                end()


def each(action: Callable[[Listener], None], listeners: Iterable[Listener]) -> None:
    """Act on all, also if one of them leaves meanwhile."""
    for listener in list(listeners):
        action(listener)


def after(seconds: float, action: Callable[[], None]) -> None:
    """Act after some wall time, or at once."""
    if seconds > 0:
        asyncio.get_running_loop().call_later(seconds, action)
    else:
        action()
