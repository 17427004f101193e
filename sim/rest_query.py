"""The parameters of a REST request, and what the exchange says of wrong ones."""

import json
from collections.abc import Mapping
from typing import Any


class Refused(Exception):
    """A request the exchange answers with an error body."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """A parameter that is a number; None where it is not given."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise Refused(
            -1100,
            f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.",
        )
    return int(text)


def time_ms(query: Mapping[str, str], name: str) -> int | None:
    """A time in ms; microseconds are understood too."""
    value = whole_number(query, name)
    return value // 1000 if value is not None and value >= 10**15 else value


def names_of(text: str) -> list[Any]:
    """A list of texts, as JSON."""
    try:
        names = json.loads(text)
    except json.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused(-1100, "Illegal characters found in parameter 'symbols'.")
    return names
