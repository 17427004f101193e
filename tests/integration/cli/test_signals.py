"""``signals`` against a real Redis: real entries, real ledger, real pending lists."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from cli.asking import answered
from cli.dead_letters import tags_of
from cli.signals_command import Listed, gather
from shared import keys
from shared.configuration import load_settings
from shared.settings import Settings
from shared.trade_signal import Signal, example_signal
from tests.integration.cli.test_status import Scanner, command, config_of, now_ms

TELEGRAM = {"enabled": True, "bot_token": "42:T0KENofTheBot", "chat_id": 4242}


@pytest.fixture
def settings(each_redis_url: str, tmp_path: Path, each_redis: Redis) -> Settings:
    return load_settings(config_of(tmp_path, each_redis_url, telegram=TELEGRAM), environ={})


@pytest.fixture
async def scanner(settings: Settings) -> AsyncIterator[Scanner]:
    made = Scanner(settings)
    yield made
    await made.access.close()


async def emitted(scanner: Scanner, *changes: dict[str, Any]) -> list[Signal]:
    signals = [
        example_signal(close_time_ms=number * 600_000, received_at_ms=now_ms(), **change)
        for number, change in enumerate(changes, 1)
    ]
    for number, signal in enumerate(signals, 1):
        judged = await scanner.signals.judge(f"{number}-0", signal)
        assert judged.status == "emitted"
    return signals


def states(found: list[Listed]) -> list[list[str]]:
    return [[each.state for each in listed.deliveries] for listed in found]


async def test_each_signal_is_told_with_its_way_through_each_channel(
    scanner: Scanner, settings: Settings
) -> None:
    signals = await emitted(scanner, {"stale": True}, {}, {}, {})
    inbox = scanner.inbox()
    await inbox.create()
    (old, _), (sent, _), (waits, _) = await inbox.read(3, 10)
    await inbox.acknowledge(old)
    await scanner.delivered(signals[1], sent)
    found = await answered(settings, lambda client: gather(client, settings, 10))
    assert [listed.signal for listed in found] == signals[::-1]
    assert states(found) == [
        ["unread", "unread"],
        ["pending", "unread"],
        ["delivered", "unread"],
        ["stale", "stale"],
    ]
    email = found[2].deliveries[0]
    assert (email.recipients, email.delivered_to, email.took_ms) == (2, 2, 1200)
    assert found[1].entry_id == waits.decode()
    tried = [[each.attempts for each in listed.deliveries] for listed in found]
    # Of what was done with nobody keeps how often it was tried.
    assert tried == [[0, 0], [1, 0], [None, 0], [None, None]]


async def test_a_recipient_who_is_missing_is_told(scanner: Scanner, settings: Settings) -> None:
    (signal,) = await emitted(scanner, {})
    inbox = scanner.inbox()
    await inbox.create()
    ((entry_id, _),) = await inbox.read(1, 10)
    await scanner.delivered(signal, entry_id)
    ledger = sorted([key async for key in scanner.access.client.scan_iter("delivered:*")])
    await scanner.access.client.delete(ledger[0])
    (listed,) = await answered(settings, lambda client: gather(client, settings, 1))
    assert (listed.deliveries[0].state, listed.deliveries[0].delivered_to) == ("settled", 1)


async def test_the_command_prints_the_newest_first_and_as_many_as_asked(
    scanner: Scanner, tmp_path: Path
) -> None:
    signals = await emitted(scanner, {}, {}, {})
    config = tmp_path / "config.json"
    code, out, err = await command("signals", "-n", "2", config=config)
    assert (code, err) == (0, "")
    assert [line[:23] for line in out.splitlines() if not line.startswith(" ")] == [
        "1970-01-01 00:30:00 UTC",
        "1970-01-01 00:20:00 UTC",
    ]
    assert "telegram unread" in out
    code, out, _ = await command("signals", "-n", "2", "--json", config=config)
    assert code == 0
    assert [each["id"] for each in json.loads(out)["signals"]] == [signals[2].id, signals[1].id]


async def test_where_there_is_none_it_says_where_to_look(
    settings: Settings, tmp_path: Path
) -> None:
    code, out, err = await command("signals", config=tmp_path / "config.json")
    assert (code, err) == (0, "")
    assert out.startswith("No signals yet. `btc-scanner status` shows")


async def test_entries_that_strangers_wrote_are_shown_and_not_fatal(
    scanner: Scanner, tmp_path: Path
) -> None:
    (signal,) = await emitted(scanner, {})
    client = scanner.access.client
    ((_, fields),) = await client.xrange(keys.SIGNALS)
    await client.xadd(keys.SIGNALS, {"hello": "\x1b[2J"})
    await client.xadd(keys.SIGNALS, {**fields, b"entry": b"many"})
    await client.xadd(keys.SIGNALS, {**fields, b"tick_size": b"small"})
    await client.xadd(keys.SIGNALS, {**fields, b"close_time_ms": b"9" * 30})
    code, out, err = await command("signals", config=tmp_path / "config.json")
    assert (code, err) == (0, "")
    assert [line[:10] for line in out.splitlines() if not line.startswith(" ")] == [
        *["unreadable"] * 4,
        "1970-01-01",
    ]
    code, out, _ = await command("signals", "--json", config=tmp_path / "config.json")
    assert code == 0
    assert json.loads(out)["signals"][-1]["id"] == signal.id


async def test_an_absent_redis_is_told_with_the_remedy(tmp_path: Path) -> None:
    config = config_of(tmp_path, "redis://127.0.0.1:1/0")
    code, out, err = await command("signals", config=config)
    assert (code, out) == (1, "")
    assert "cannot be reached" in err
    assert "Traceback" not in err


async def test_a_delivery_that_ended_as_a_dead_letter_is_told(
    scanner: Scanner, settings: Settings
) -> None:
    """Whoever reads the list knows it by the letter; after a drop, by the ledger."""
    [signal] = await emitted(scanner, {})
    inbox, client = scanner.inbox(), scanner.access.client
    await inbox.create()
    [(entry, _)] = await inbox.read(1, 10)
    await inbox.acknowledge(entry)
    (anna, ben), _ = (tags_of(settings, channel) for channel in ("email", "telegram"))
    await client.set(keys.delivered("email", signal.id, anna), f"{now_ms()} <m@example.com>")
    letter = await client.xadd(keys.dead("email"), {"id": signal.id, "recipient": ben})
    for ledger in (None, "dead"):
        if ledger is not None:
            await client.set(keys.delivered("email", signal.id, ben), ledger)
            await client.xdel(keys.dead("email"), letter)
        [listed] = await answered(settings, lambda client: gather(client, settings, 10))
        email = listed.deliveries[0]
        assert (email.state, email.delivered_to, email.given_up) == ("dead", 1, 1)
