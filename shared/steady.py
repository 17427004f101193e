"""The clock by which it is known how much time has passed, also while the machine was suspended.

``time.monotonic`` stands still then on Linux: what lay in a socket for hours would seem fresh.
"""

import time

# Where there is one, the clock that goes on; elsewhere the best there is.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Seconds on a clock that nobody sets, suspended time included."""
    return time.clock_gettime(_STEADY)
