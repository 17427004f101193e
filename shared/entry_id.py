"""IDs of stream entries, ``<ms>-<n>``, by which readers say how far they have come. Pure.

A person may have edited such a position; what is none counts as absent, which every reader can
deal with: it goes back, and what it finds again is known.
"""

import re

# Redis refuses parts beyond 64 bits, as an error that no waiting ends.
_FORM = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")


def readable(raw: bytes | str | None) -> str:
    """The position in ``raw``, "" if there is none or it is something else."""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw or ""
    return text if _FORM.fullmatch(text) else ""


def order(entry_id: str) -> tuple[int, int]:
    """By which IDs are compared; "" comes before all."""
    ms, _, number = entry_id.partition("-")
    return (int(ms), int(number or 0)) if ms else (-1, -1)
