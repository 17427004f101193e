"""Which of a process's work loops still turn: what a watchdog is fed by.

A loop turns when it has done a round, or has tried again what it waits for. So one that waits for
Redis, or for an exchange that is down, turns: ending the process would bring neither back. One that
waits for something that never comes, with nothing to end the wait, does not.
"""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Loop:
    """A work loop.

    Attributes:
        limit_s: How long one round may take at most.
        turned_s: When it turned last, by a monotonic clock.
    """

    name: str
    limit_s: float
    turned_s: float


class Turns:
    """The work loops of one process. Reads no clock."""

    def __init__(self) -> None:
        """Begin without any: nothing is stuck."""
        self._loops: set[Loop] = set()

    def begin(self, name: str, limit_s: float, now_s: float) -> Loop:
        """A loop begins; the same name may occur twice."""
        loop = Loop(name, limit_s, now_s)
        self._loops.add(loop)
        return loop

    def end(self, loop: Loop) -> None:
        """A loop has ended in order."""
        self._loops.discard(loop)

    def stuck(self, now_s: float) -> tuple[str, ...]:
        """The names of those that should have turned before ``now_s``, and for how long not."""
        late = [(now_s - loop.turned_s, loop) for loop in self._loops]
        return tuple(
            sorted(
                f"{loop.name} ({since_s:.0f} s)" for since_s, loop in late if since_s > loop.limit_s
            )
        )
