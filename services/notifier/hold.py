"""For how long an entry of the pending list is ours, and the clocks that say so."""

import time
from dataclasses import dataclass

from shared.steady import now_s

# From the end of an attempt until Redis and we have noticed everything.
CLAIM_MARGIN_S = 5.0


def now_ms() -> int:
    """Our clock, ms UTC."""
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class Hold:
    """An entry that is ours for a while: then another may take it for that of a dead process.

    Attributes:
        attempt: The number of the attempt it is held for, 1 for the first.
        until_s: When another may take it, by ``now_s``.
        revived: Whether a person wants it tried once more, however old it is, and it had no such
            attempt yet.
    """

    entry_id: bytes
    attempt: int
    until_s: float
    revived: bool = False

    def lasts(self, seconds: float) -> bool:
        """Whether nobody takes the entry for so long."""
        return now_s() + seconds + CLAIM_MARGIN_S <= self.until_s
