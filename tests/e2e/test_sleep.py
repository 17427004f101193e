"""A laptop that sleeps: everything stands still for hours while the market goes on."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from cli.observe import join_received, read_events, read_klines, read_signals
from cli.pipeline import Pipeline, PipelineOptions, running_pipeline
from cli.replay_record import Delivery
from cli.supervisor import SERVICES
from shared.settings import Settings, SignalRules
from shared.timeframe import interval_ms
from sim.market import generate
from tests.e2e.conftest import START_MS, candle_file
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

HOUR_MS = 3_600_000
SPEED = 3600  # an hour of the market a second
SLEPT_HOURS = 10
ASLEEP_AT_MS, END_MS = START_MS + 26 * HOUR_MS, START_MS + 41 * HOUR_MS
# Many signals: whatever crosses over.
RULES = SignalRules(min_confidence=3, duplicate_time_window_minutes=0)


async def until_market_at(pipeline: Pipeline, at_ms: int) -> None:
    async def there() -> bool:
        return (await pipeline.outside.state())["clock_ms"] >= at_ms

    await wait_until(there, "the market's clock", seconds=60)


async def until_evaluated(pipeline: Pipeline, at_ms: int) -> None:
    async def there() -> bool:
        position = await pipeline.access.field("progress:{BTCUSDT}", "detector") or "0"
        return int(position.partition("-")[0]) >= at_ms

    await wait_until(there, "the detector", seconds=60)


def send(pipeline: Pipeline, number: signal.Signals) -> None:
    pids = [pipeline.supervisor.pid(name) for name in SERVICES]
    for pid in (*pids, pipeline.server.pid):
        assert pid is not None
        os.kill(pid, number)


async def test_after_ten_hours_all_is_refilled_old_signals_are_stale_and_two_events_are_told(
    tmp_path: Path,
) -> None:
    candles = candle_file(tmp_path / "candles.csv", generate(4, 2, START_MS)[: 41 * 60])
    options = PipelineOptions(
        outside=[
            "--candles", str(candles), "--start", str(START_MS + 24 * HOUR_MS),
            "--speed", str(SPEED), "--weight-limit", "0",
        ],
        changes={"exchange": {"blind_after_seconds": 2 * HOUR_MS / 1000}},
    )  # fmt: skip
    async with running_pipeline(
        Settings(signal_rules=RULES), tmp_path / "run", options
    ) as pipeline:
        await until_evaluated(pipeline, ASLEEP_AT_MS)
        send(pipeline, signal.SIGSTOP)
        asleep_ms = (await pipeline.outside.state())["clock_ms"]
        try:
            await until_market_at(pipeline, asleep_ms + SLEPT_HOURS * HOUR_MS)
        finally:
            send(pipeline, signal.SIGCONT)
        awake_ms = (await pipeline.outside.state())["clock_ms"]
        await until_evaluated(pipeline, END_MS)

        async def told() -> bool:
            return len([e for e in await read_events(pipeline.access) if e.alert]) >= 2

        await wait_until(told, "BLIND and RECOVERED", seconds=30)
        signals = await read_signals(pipeline.access)
        fresh = {each.id for each in signals if not each.stale}

        async def delivered() -> list[Delivery]:
            found = await join_received(pipeline, signals)
            events = [each for each in found if each.event_id]
            return found if {e.channel for e in events[2:]} and len(events) >= 4 else []

        deliveries = await wait_until(delivered, "both events on both channels", seconds=30)
        events = [each for each in await read_events(pipeline.access) if each.alert]
        for timeframe in ("1m", "5m", "1h"):
            step_ms = interval_ms(timeframe)
            found = await read_klines(pipeline.access, "BTCUSDT", timeframe)
            boundaries = [each.boundary_ms for each in found]
            assert boundaries == list(range(boundaries[0], boundaries[-1] + 1, step_ms))
            assert boundaries[-1] == END_MS
            assert not any(each.missing for each in found)
        assert pipeline.supervisor.restarts == dict.fromkeys(SERVICES, 0)

    assert [each.state for each in events] == ["blind", "recovered"], [e.sentence for e in events]
    assert abs(events[0].since_ms - asleep_ms) < HOUR_MS
    refilled = events[1].details
    assert int(refilled["refilled_1m"]) >= SLEPT_HOURS * 60
    assert int(refilled["by_rest"]) >= SLEPT_HOURS * (60 + 12 + 1)
    assert refilled["missing"] == "0"
    sent = Counter((each.channel, each.event_id or each.signal_id) for each in deliveries)
    assert set(sent.values()) == {1}
    for channel in ("email", "telegram"):
        assert {name for where, name in sent if where == channel} == fresh | {e.id for e in events}
    # Half an hour before the end of the sleep is old news in any case.
    old = [s for s in signals if asleep_ms + HOUR_MS <= s.close_time_ms <= awake_ms - HOUR_MS / 2]
    assert len(old) > 5
    assert all(each.stale for each in old)
