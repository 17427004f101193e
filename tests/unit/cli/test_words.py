"""Numbers as commands print them."""

import pytest

from cli.words import duration, masked


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [
        (-5, "0.0 s"), (400, "0.4 s"), (9_960, "10 s"), (23_400, "23 s"), (59_600, "1 min"),
        (300_000, "5 min"), (7_980_000, "2 h 13 min"), (273_600_000, "3 d 4 h"),
    ],
)  # fmt: skip
def test_durations_read_like_speech(milliseconds: int, shown: str) -> None:
    assert duration(milliseconds) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("trader@example.org", "t…r@example.org"),
        ("me@example.org", "m…@example.org"),
        ("-1001234564567", "-…4567"),
        ("42", "…2"),
        ("@channel", "@c…l"),
        ("stdout", "stdout"),
    ],
)
def test_an_address_is_told_to_those_who_know_it(address: str, shown: str) -> None:
    assert masked(address) == shown
