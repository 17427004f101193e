"""How often the exchange may be asked: delays between connections, and pauses that it orders.

Pure but for the jitter: the time is an argument.
"""

import random
from collections import deque

FIRST_DELAY_S, LAST_DELAY_S = 0.25, 60.0
# The exchange allows 300 connection attempts in five minutes to all programs at this address.
WINDOW_S, MOST_IN_WINDOW = 300.0, 150

# Where no Retry-After says it: a limit is counted by the minute, a first ban lasts two.
_LIMITED_S, _BANNED_S = 60.0, 120.0
# The longest ban. Whatever claims to be longer is not a Retry-After.
LONGEST_PAUSE_S = 3 * 86_400.0


class Attempts:
    """Spaces the attempts to connect.

    The delay doubles up to ``LAST_DELAY_S`` and starts over only when a connection delivered: a
    server that accepts and closes at once must not be hammered. Nor must one that delivers a frame
    before it closes, so attempts are counted too.
    """

    def __init__(self, *, most: int | None = MOST_IN_WINDOW) -> None:
        """Allow ``most`` attempts in ``WINDOW_S`` seconds, None for any number."""
        self._most = most
        self._made: deque[float] = deque(maxlen=most or 1)
        self._delay_s = FIRST_DELAY_S

    def delay_s(self, now_s: float, at_least_s: float = 0.0) -> float:
        """Seconds from ``now_s`` to the next attempt, which is counted as made then."""
        delay_s = self._delay_s * random.uniform(0.5, 1.0)
        self._delay_s = min(LAST_DELAY_S, self._delay_s * 2)
        if len(self._made) == self._most:
            at_least_s = max(at_least_s, self._made[0] + WINDOW_S - now_s)
        delay_s = max(delay_s, at_least_s)
        self._made.append(now_s + delay_s)
        return delay_s

    def delivered(self) -> None:
        """The connection proved to be of use."""
        self._delay_s = FIRST_DELAY_S


def ordered_pause_s(status: int, retry_after: str | None) -> float:
    """Seconds that HTTP ``status`` with the header ``Retry-After`` forbids to ask; mostly 0."""
    if status not in {429, 418}:
        return 0.0
    if retry_after is not None and retry_after.isascii() and retry_after.isdecimal():
        return min(LONGEST_PAUSE_S, max(1.0, float(retry_after)))
    return _BANNED_S if status == 418 else _LIMITED_S
