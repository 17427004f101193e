"""Which fault the next request meets: prepared for the next, standing for all, or by chance."""

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Weighed(Protocol):
    """What can be drawn by chance."""

    @property
    def weight(self) -> float:
        """How often it is drawn, beside the others."""


F = TypeVar("F", bound=Weighed)


@dataclass(frozen=True, slots=True)
class Incident:
    """One fault that was met.

    Attributes:
        at_ns: wall time.
        fault: its name.
        recipients: addresses or chats that it concerned, as far as the peer knew them by then.
        key: Message-ID or text of what was sent, empty if the fault came before that.
        accepted: the peer kept what was sent, although the sender was not told so.
    """

    at_ns: int
    fault: str
    recipients: tuple[str, ...]
    key: str
    accepted: bool


class FaultPlan(Generic[F]):
    """Asked once for each request.

    Attributes:
        standing: met by every request, until taken away; None for none.
    """

    def __init__(self) -> None:
        self.standing: F | None = None
        self._prepared: deque[F] = deque()
        self._chance = random.Random(0)
        self._share = 0.0
        self._drawn: Sequence[F] = ()

    def __len__(self) -> int:
        """How many prepared faults were not met yet."""
        return len(self._prepared)

    def prepare(self, fault: F, count: int = 1) -> None:
        """Let the next ``count`` requests that can meet ``fault`` meet it."""
        self._prepared.extend([fault] * count)

    def draw(self, faults: Sequence[F], *, seed: int, share: float) -> None:
        """From now on let this share of the requests fail, each by one of ``faults``."""
        self._drawn, self._share = tuple(faults), share
        self._chance = random.Random(seed)

    def take(self, possible: Callable[[F], bool]) -> F | None:
        """The fault of the request at hand, None for none.

        Args:
            possible: whether the request can still meet a fault.
        """
        if self._prepared and possible(self._prepared[0]):
            return self._prepared.popleft()
        if self.standing is not None and possible(self.standing):
            return self.standing
        if self._chance.random() >= self._share:
            return None
        left = [fault for fault in self._drawn if possible(fault)]
        return self._chance.choices(left, [fault.weight for fault in left])[0] if left else None

    def clear(self) -> None:
        """No more faults."""
        self.standing = None
        self._prepared.clear()
        self._share = 0.0
