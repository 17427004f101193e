"""``events`` and the troubles of ``status`` against a real Redis, told as services tell them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.event import Trouble
from shared.events import EventsWriter
from shared.redis_access import RedisAccess
from shared.settings import Streams
from tests.integration.cli.test_status import command, config_of

BLIND = Trouble("blind", 1_762_094_100_000)


@pytest.fixture
async def events(each_redis: Redis, each_redis_url: str) -> AsyncIterator[EventsWriter]:
    access = RedisAccess(each_redis_url, name="ingest")
    yield EventsWriter(access, "ingest", "2", Streams())
    await access.close()


async def test_events_are_listed_newest_first_and_as_many_as_asked(
    events: EventsWriter, each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    config = config_of(tmp_path, each_redis_url)
    code, out, err = await command("events", config=config)
    assert (code, out[:14], err) == (0, "No events yet:", "")
    await events.lost("all 1m candles")
    await each_redis.xadd(keys.EVENTS, {"hello": "\x1b[2J"})
    await events.begin("feed:BTCUSDT", BLIND, "feed BLIND since …", details={"by_rest": "no"})
    await events.once("candle", "noted", "for the record", quiet_s=9, alert=False)
    code, out, err = await command("events", config=config)
    assert (code, err) == (0, "")
    assert [line[25:] for line in out.splitlines() if not line.startswith("unreadable")] == [
        "for the record (ingest 2, not for sending)",
        "feed BLIND since … (ingest 2)",
        "by rest no",
        "Redis has lost data: all 1m candles; it is being restored (ingest 2)",
    ]
    assert "unreadable: events entry" in out
    code, out, _ = await command("events", "-n", "3", "--json", config=config)
    assert code == 0
    _, blind, spoilt = json.loads(out)["events"]
    assert (blind["id"], blind["details"]) == (f"feed:BTCUSDT:{BLIND.text.replace(' ', ':')}",
                                               {"by_rest": "no"})  # fmt: skip
    assert set(spoilt) == {"entry_id", "malformed"}


async def test_what_stands_is_a_problem_of_status_until_it_ends(
    events: EventsWriter, each_redis: Redis, each_redis_url: str, tmp_path: Path
) -> None:
    config = config_of(tmp_path, each_redis_url)
    await events.begin("feed:BTCUSDT", BLIND, "feed BLIND")
    await each_redis.hset(keys.TROUBLES, "feed:spoilt", "yes please")
    code, out, _ = await command("status", config=config)
    assert code == 1
    assert "  ! feed BTCUSDT BLIND since 2025-11-02 14:35:00 UTC, for " in out
    assert "spoilt" not in out
    _, out, _ = await command("status", "--json", config=config)
    [standing] = json.loads(out)["troubles"]
    assert (standing["state"], standing["since_ms"]) == ("blind", BLIND.since_ms)
    await events.end("feed:BTCUSDT", BLIND, "recovered", "feed RECOVERED")
    _, out, _ = await command("status", config=config)
    assert "BLIND" not in out
