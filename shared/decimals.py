"""Numbers as people and Redis streams write them: the shortest decimals that round-trip.

Pure. ``repr`` of a float is the shortest text that reads back as the same float, but it uses
exponents ("1e-05") and a trailing ".0", which a person reading ``redis-cli`` should not see.
"""

from decimal import Decimal

# Far beyond every market, and so far below what a float can hold that nothing made of such numbers
# overflows: products of two, and sums of a day of them.
LARGEST = 1e30
_LONGEST = 16


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


def measured(text: bytes | str, largest: float = LARGEST) -> float:
    """The number that ``text`` writes, if a market can have it.

    Raises:
        ValueError: It is none, NaN, infinite, or beyond ``largest``.
    """
    value = float(text)
    if not -largest <= value <= largest:
        raise ValueError(f"{value} is no price or volume of any market")
    return value


def whole(text: bytes | str) -> int:
    """The whole number that ``text`` writes: a time in ms, a count.

    Raises:
        ValueError: It is none, or longer than any of those.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"a whole number of {len(text)} characters")
    return int(text)


def places(step: str) -> int:
    """How many decimals prices have whose smallest step is ``step`` ("0.01000000" → 2)."""
    exponent = Decimal(step).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
