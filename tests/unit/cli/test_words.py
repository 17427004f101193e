"""Numbers as commands print them."""

import pytest

from cli.words import duration


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (-5, "0.0 s"), (400, "0.4 s"), (9_960, "10 s"), (23_400, "23 s"), (59_600, "1 min"),
        (300_000, "5 min"), (7_980_000, "2 h 13 min"), (273_600_000, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_like_speech(milliseconds: int, shown: str) -> None:
    assert duration(milliseconds) == shown
