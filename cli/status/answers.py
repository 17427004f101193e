"""Answers of Redis as numbers; strangers may have written there. Pure."""

from shared.entry_id import order, readable

Entries = list[tuple[bytes, dict[bytes, bytes]]]


def whole(text: str) -> int | None:
    """The number in a text; None if it is none."""
    try:
        return int(text)
    except ValueError:
        return None


def count(answer: object) -> int:
    """A length; 0 where the answer is none."""
    return answer if isinstance(answer, int) else 0


def place(entry_id: bytes | None) -> tuple[int, int]:
    """``<ms>-<sequence>`` as numbers; before everything if there is none."""
    return order(readable(entry_id))


def exclusive(entry_id: bytes | None) -> bytes | str:
    """Where a range begins that holds all after this entry."""
    return "-" if place(entry_id) <= (0, 0) else b"(" + (entry_id or b"")
