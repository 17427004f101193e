"""Tables of what is refused."""

from typing import Any

import pytest

Row = tuple[str, dict[str, Any], str, str, str]
"""Name, values, path, part of what is wrong, near miss."""


def each(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("values", "path", "what", "near"),
        [row[1:] for row in rows],
        ids=[row[0] for row in rows],
    )


def refuses(faults: Any, values: object, path: str, what: str, near: str) -> None:
    """Asserts that there is exactly one fault, there, with a remedy."""
    found = faults(values)
    assert list(found) == [path]
    assert what in found[path].what
    assert found[path].near == near
    assert found[path].remedy or near
