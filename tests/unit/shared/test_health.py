"""What a heartbeat says, without the server it is written to."""

import logging
from collections.abc import Iterator

import pytest

from shared import VERSION
from shared.health import Heartbeat, quantile
from shared.settings import Health


@pytest.fixture
def heartbeat() -> Iterator[Heartbeat]:
    root = logging.getLogger()
    before = list(root.handlers)
    yield Heartbeat("detector", "2", Health())
    for handler in set(root.handlers) - set(before):
        root.removeHandler(handler)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7], 0.5, 7),
        ([7], 0.99, 7),
        ([1, 2], 0.5, 1),
        ([1, 2, 3], 0.5, 2),
        ([1, 2, 3, 4], 0.75, 3),
        ([1, 2, 3, 4], 1.0, 4),
        ([1, 2, 3, 4], 0.0, 1),
        (list(range(1, 101)), 0.99, 99),
        (list(range(1, 1001)), 0.99, 990),
    ],
)
def test_a_quantile_is_the_smallest_value_that_so_many_do_not_exceed(
    values: list[float], share: float, expected: float
) -> None:
    assert quantile(values, share) == expected


def test_a_young_heartbeat_says_who_and_since_when(heartbeat: Heartbeat) -> None:
    fields = heartbeat.fields(None)
    assert fields["service"] == "detector"
    assert fields["instance"] == "2"
    assert fields["version"] == VERSION
    assert fields["state"] == "starting"
    assert fields["last_data_at"] == ""
    assert fields["errors_last_hour"] == "0"
    assert 0 <= int(fields["beat_at"]) - int(fields["started_at"]) < 60_000
    assert all(isinstance(value, str) for value in fields.values())


def test_counters_facts_and_latencies_are_flat_fields(heartbeat: Heartbeat) -> None:
    heartbeat.counters["signals"] += 3
    heartbeat.facts["position"] = "17-2"
    for milliseconds in (5.0, 1.0, 3.0):
        heartbeat.took("frame_to_signal", milliseconds)
    heartbeat.data_seen()
    fields = heartbeat.fields(None)
    assert (fields["count_signals"], fields["position"]) == ("3", "17-2")
    assert fields["frame_to_signal_p50_ms"] == "3.00"
    assert fields["frame_to_signal_p99_ms"] == "5.00"
    assert abs(int(fields["last_data_at"]) - int(fields["beat_at"])) < 60_000


def test_trouble_takes_the_place_of_the_state(heartbeat: Heartbeat) -> None:
    heartbeat.state = "running"
    assert heartbeat.fields(None)["state"] == "running"
    assert heartbeat.fields("Redis is away")["state"] == "waiting: Redis is away"


def test_errors_are_counted_and_the_last_is_told(heartbeat: Heartbeat) -> None:
    log = logging.getLogger("services.detector.worker")
    log.error("entry %s spoilt", "17-2")
    log.error("entry %s spoilt", "18-2")
    log.warning("only a warning")
    fields = heartbeat.fields(None)
    assert fields["errors_last_hour"] == "2"
    assert fields["last_error"] == "entry 18-2 spoilt"
