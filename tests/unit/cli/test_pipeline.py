"""What a simulated pipeline takes from the user's configuration, and what it must not."""

from typing import Any

from cli.pipeline import PipelineOptions, simulated
from shared.configuration import load_settings

ADDRESSES: dict[str, Any] = {
    "rest": "http://127.0.0.1:1",
    "ws": "ws://127.0.0.1:2",
    "bot_api": "http://127.0.0.1:3",
    "bot_token": "42:SimulatedToken",
    "chat_id": 7,
    "smtp": {"host": "127.0.0.1", "port": 4, "user": "a", "password": "b",
             "mode": "tls", "ca_file": None},
}  # fmt: skip


def test_no_quiet_hour_and_no_watchman_of_the_user_is_taken_into_a_simulation() -> None:
    settings = load_settings(
        environ={
            "BTC_SCANNER__NOTIFIER__QUIET_HOURS": "22:00-07:00",
            "BTC_SCANNER__HEALTH__PING_URL": "https://watch.example.com/secret",
            "BTC_SCANNER__NOTIFIER__RETRY_MAX_SECONDS": "7.5",
        }
    )
    made = simulated(settings, ADDRESSES, "redis://127.0.0.1:5", PipelineOptions(outside=()))
    assert made["notifier"]["quiet_hours"] == []
    assert made["health"]["ping_url"] == ""
    assert made["notifier"]["retry_max_seconds"] == 7.5
