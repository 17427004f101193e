"""What is to happen at which market time: late frames, ends of faults, faults of a schedule."""

import heapq
from collections.abc import Callable
from itertools import count

# Beyond every market; compares with milliseconds without a special case.
NEVER_MS = 2**62


class Agenda:
    """Actions in order of their market time; those of one time in the order they were entered.

    Args:
        added: told of every new entry, so that whoever sleeps until ``next_ms`` looks again.
    """

    def __init__(self, added: Callable[[], None] = lambda: None) -> None:
        self._added = added
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    @property
    def next_ms(self) -> int:
        """When the next action is due; ``NEVER_MS`` when there is none."""
        return self._heap[0][0] if self._heap else NEVER_MS

    def at(self, at_ms: int, action: Callable[[], None]) -> None:
        """Enter an action; one whose time has passed is due at once."""
        heapq.heappush(self._heap, (at_ms, next(self._numbers), action))
        self._added()

    def act(self) -> None:
        """Take the next action off the agenda and do it."""
        heapq.heappop(self._heap)[2]()
