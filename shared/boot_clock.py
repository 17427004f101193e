"""The clock of this machine that nobody sets."""

import time

# Where there is one, the clock that goes on while the machine is suspended.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Seconds on a clock that nobody sets, suspended time included."""
    return time.clock_gettime(_STEADY)
