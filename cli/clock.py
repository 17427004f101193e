"""What time it is."""

import time


def now_ms() -> int:
    """Our clock, ms UTC."""
    return int(time.time() * 1000)
