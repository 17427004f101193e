"""The line that ``systemctl status`` shows."""

from shared.status_line import status_line

STARTED = "1762094100000"  # 2025-11-02 14:35:00 UTC


def test_ingest_tells_its_last_candles_shortest_first_and_how_late_they_were() -> None:
    beat = {
        "service": "ingest", "state": "running", "started_at": STARTED, "last_error": "x",
        "last_data_at": STARTED, "errors_last_hour": "0",
        "connection": "connected to wss://stream.example.com",
        "last_1h": "1762092000000", "last_5m": STARTED, "last_1m": STARTED,
        "lag_ms_1m": "12", "lag_ms_5m": "40",
    }  # fmt: skip
    assert status_line(beat) == (
        "running; last 1m candle 14:35:00, 12 ms late; last 5m candle 14:35:00, 40 ms late;"
        " last 1h candle 14:00:00; connected to wss://stream.example.com"
    )


def test_the_detector_tells_its_candle_and_its_signals() -> None:
    beat = {
        "service": "detector", "state": "running", "started_at": STARTED,
        "position": f"{STARTED}-1", "count_signals": "1", "last_signal": "LONG …",
        "errors_last_hour": "1",
    }  # fmt: skip
    assert status_line(beat) == (
        "running; last candle 14:35:00; 1 signal since 2025-11-02 14:35; 1 error in the last hour"
    )


def test_the_notifier_tells_of_each_channel() -> None:
    beat = {
        "service": "notifier", "state": "running", "started_at": STARTED,
        "channels": "email telegram", "count_delivered_email": "3", "count_failed_email": "1",
        "email_pending": "2", "telegram_pending": "0", "email_last_delivered": "x",
    }  # fmt: skip
    assert status_line(beat) == (
        "running; email: 3 delivered, 1 failed, 2 pending; telegram: 0 delivered;"
        " since 2025-11-02 14:35"
    )


def test_what_is_waited_for_comes_first() -> None:
    beat = {"service": "indicators", "state": "waiting: Redis at unix:///x cannot be reached"}
    assert status_line(beat) == "waiting: Redis at unix:///x cannot be reached"


def test_before_the_first_candle_there_is_only_the_state() -> None:
    assert status_line({"service": "ingest", "state": "starting", "last_1m": ""}) == "starting"
