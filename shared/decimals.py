"""Numbers as people and Redis streams write them: the shortest decimals that round-trip.

Pure. ``repr`` of a float is the shortest text that reads back as the same float, but it uses
exponents ("1e-05") and a trailing ".0", which a person reading ``redis-cli`` should not see.
"""

from decimal import Decimal
from math import isfinite


def shortest(value: float) -> str:
    """The shortest plain decimal text that reads back as exactly ``value``.

    Raises:
        ValueError: ``value`` is NaN or infinite; undefined values are omitted, never written.
    """
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" in text:
        return format(Decimal(text), "f")
    if "n" in text:  # nan, inf
        raise ValueError(f"{text} is not a number to write")
    return text


def finite(text: bytes | str) -> float:
    """The number that ``text`` writes.

    Raises:
        ValueError: It is none, or NaN or infinite, which nobody here ever writes.
    """
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{value} is not a finite number")
    return value


def places(step: str) -> int:
    """How many decimals prices have whose smallest step is ``step`` ("0.01000000" → 2)."""
    exponent = Decimal(step).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
