"""Positions as readers keep them, and what people make of them."""

import pytest

from shared.entry_id import order, readable


@pytest.mark.parametrize("text", ["0-0", "1762094100000-2", f"{'9' * 19}-{'9' * 19}"])
def test_a_position_is_readable(text: str) -> None:
    assert readable(text) == readable(text.encode()) == text


@pytest.mark.parametrize(
    "raw",
    [
        None, b"", b"garbage", b"17", b"17-", b"-2", b"1-2-3", b" 1-2", b"1-2\n", b"-1-2", b"1.5-0",
        b"\xff-1", "\u0661-1".encode(), f"{'9' * 20}-0".encode(),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_position_counts_as_absent(raw: bytes | None) -> None:
    assert readable(raw) == ""


def test_positions_are_in_the_order_of_their_numbers() -> None:
    ids = ["10-2", "9-10", "", "10-0", "0-0", "9-0"]
    assert sorted(ids, key=order) == ["", "0-0", "9-0", "9-10", "10-0", "10-2"]
