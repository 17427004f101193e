"""Addresses as commands print them."""

import pytest

from cli.words import masked


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
