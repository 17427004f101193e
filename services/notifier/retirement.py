"""Which consumers of a group are dead. Pure: how long one was not heard of is an argument."""

from collections.abc import Iterable
from dataclasses import dataclass

# A live notifier asks for entries every second.
UNHEARD_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A consumer as Redis knows it.

    Attributes:
        pending: Entries that it was given and did not acknowledge.
        idle_ms: Since it last asked for something.
    """

    name: bytes
    pending: int
    idle_ms: int


def retired(consumers: Iterable[Seen], *, ours: str, unheard_ms: int = UNHEARD_MS) -> list[bytes]:
    """The names of those that hold nothing and were not heard of for so long."""
    return [
        each.name
        for each in consumers
        if each.name != ours.encode() and not each.pending and each.idle_ms >= unheard_ms
    ]
