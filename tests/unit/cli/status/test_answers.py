"""What Redis answers, whoever has written there."""

import pytest

from cli.status.answers import exclusive, place


@pytest.mark.parametrize(
    ("entry_id", "numbers", "after"),
    [
        (b"1762094100000-2", (1762094100000, 2), b"(1762094100000-2"),
        (b"0-0", (0, 0), "-"),
        (None, (-1, -1), "-"),
        (b"", (-1, -1), "-"),
        (b"garbage", (-1, -1), "-"),
        (b"1762094100000-two", (-1, -1), "-"),
        (b"99999999999999999999-0", (-1, -1), "-"),
    ],
)
def test_a_position_that_is_none_stands_before_everything(
    entry_id: bytes | None, numbers: tuple[int, int], after: bytes | str
) -> None:
    assert place(entry_id) == numbers
    assert exclusive(entry_id) == after
