"""Numbers as people read them: plain, shortest, and exactly the float they were."""

import math

import pytest

from shared.decimals import measured, places, shortest, whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (3.0, "3"),
        (65432.5, "65432.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (-1.25, "-1.25"),
        (1e-05, "0.00001"),
        (1.5e-7, "0.00000015"),
        (1e16, "10000000000000000"),
        (1.2345e22, "12345000000000000000000"),
        (0.0001, "0.0001"),
    ],
)
def test_a_number_is_written_plain_and_shortest(value: float, text: str) -> None:
    assert shortest(value) == text
    assert float(text) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_written(value: float) -> None:
    with pytest.raises(ValueError, match="is not a number to write"):
        shortest(value)


@pytest.mark.parametrize(
    "text", [b"nan", b"inf", b"-Infinity", "NaN", b"1e999", b"1e31", "-1.1e30", b"", b"1,5"]
)
def test_what_no_market_can_have_is_not_read(text: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"no price or volume|convert"):
        measured(text)


@pytest.mark.parametrize("text", [b"", b"1.0", b"1e3", b"now", b"9" * 17, "9" * 5000])
def test_what_is_no_time_or_count_is_not_read(text: bytes | str) -> None:
    with pytest.raises(ValueError, match=r"characters|invalid literal"):
        whole(text)


@pytest.mark.parametrize(
    ("step", "decimals"),
    [("0.01000000", 2), ("0.00000100", 6), ("1.00000000", 0), ("10", 0), ("0.5", 1), ("NaN", 0)],
)
def test_a_price_has_the_decimals_of_its_smallest_step(step: str, decimals: int) -> None:
    assert places(step) == decimals
