"""Hosts take turns; only this machine is reached without the environment's proxies."""

import pytest

from services.ingest.hosts import Turns, is_loopback


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8080", True),
        ("ws://127.9.9.9", True),
        ("ws://[::1]:9443", True),
        ("http://localhost:1", True),
        ("https://api.binance.com", False),
        ("wss://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def test_hosts_take_turns_when_one_fails_and_one_failure_counts_once() -> None:
    turns = Turns(("a", "b", "c"))
    assert turns.host == "a"
    turns.failed("a")
    turns.failed("a")  # asked beside the other, and failed too
    assert turns.host == "b"
    turns.failed("b")
    turns.failed("c")
    assert turns.host == "a"
