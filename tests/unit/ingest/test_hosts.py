"""Only this machine itself is reached without the environment's proxies."""

import pytest

from services.ingest.hosts import is_loopback


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
