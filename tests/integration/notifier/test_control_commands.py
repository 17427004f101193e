"""``mute``, ``unmute`` and ``test-alert`` as typed, by the real notifier, mailbox and Bot API."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cli.command_line import main
from cli.observe import read_signals
from cli.words import masked
from services.notifier.channels import recipient
from services.notifier.sources import EVENTS
from shared import keys
from shared.redis_access import RedisAccess
from sim.bot_api import BotApi
from sim.mailbox import Mailbox
from tests.service_process import Process
from tests.waiting import wait_until

from .conftest import CHAT, PASSWORD, TOKEN, Bench, fresh_signal, smtp, telegram

# A process that imports aiogram takes seconds to start, on a busy machine many.
pytestmark = pytest.mark.timeout(180)


class Terminal:
    """Types commands, and reads what they say."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    async def __call__(self, *arguments: str, config: Path) -> tuple[int, str, str]:
        """Exit code, output and errors of a command."""
        code = await asyncio.to_thread(main, [*arguments, "--config", str(config)])
        return code, *self._capsys.readouterr()


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


async def running(bench: Bench, config: Path) -> Process:
    """A notifier that has written its heartbeat."""
    process = await bench.start(config)
    await wait_until(lambda: bench.redis.keys("health:notifier:*"), "the heartbeat", 60)
    return process


async def test_a_test_alert_reaches_everybody_by_the_real_way_even_while_muted(
    bench: Bench, command: Terminal, redis: Redis, mailbox: Mailbox, bot_api: BotApi
) -> None:
    people = ["one@example.org", "two@example.org"]
    config = bench.config(smtp=smtp(mailbox, to_email=people), telegram=telegram(bot_api.url))
    await running(bench, config)
    assert (await command("mute", "2h", config=config))[0] == 0
    code, out, err = await command("test-alert", "--timeout", "90", config=config)
    assert (code, err) == (0, "")
    first, *lines = out.splitlines()
    assert first.startswith("TEST:BTCUSDT:1m:LONG:1")
    wanted = [("email", each) for each in people] + [("telegram", str(CHAT))]
    assert len(lines) == 3
    for (channel, address), text in zip(wanted, lines, strict=True):
        assert text.split()[:2] == [channel, recipient(address).tag]
        assert f"({masked(address)})  delivered in " in text
        assert address not in text
    signal_id = first.split()[0]
    assert [mail.signal_id for mail in mailbox.mails] == [signal_id] * 2
    assert len(bot_api.messages) == 1
    assert not await redis.exists(keys.QUIET)

    # Marked in the list, and no signal for anybody else.
    _, out, _ = await command("signals", config=config)
    assert "  TEST LONG " in out
    _, out, _ = await command("status", "--json", config=config)
    found = json.loads(out)
    assert found["last_signal"] is None
    assert found["muted"].startswith("MUTED until 2")
    access = RedisAccess(bench.redis_url, name="test")
    assert await read_signals(access) == []
    await access.close()
    assert await redis.keys("dedup:*") == []


async def test_a_test_of_one_channel_is_silent_in_the_other(
    bench: Bench, command: Terminal, mailbox: Mailbox, bot_api: BotApi
) -> None:
    config = bench.config(smtp=smtp(mailbox), telegram=telegram(bot_api.url))
    await running(bench, config)
    code, out, _ = await command(
        "test-alert", "--channel", "email", "--timeout", "60", config=config
    )
    assert code == 0
    assert "telegram" not in out

    async def settled() -> bool:
        groups = await bench.redis.xinfo_groups(keys.SIGNALS)
        return len(groups) == 2 and all(
            group["pending"] == 0 and group["entries-read"] == 1 for group in groups
        )

    await wait_until(settled, "both channels to be done with it", 60)
    assert (len(mailbox.mails), bot_api.messages) == (1, [])
    _, out, _ = await command("signals", config=config)
    assert "telegram not meant" in out


async def test_what_stands_in_the_way_of_a_test_is_told(
    bench: Bench, command: Terminal, redis: Redis, mailbox: Mailbox
) -> None:
    config = bench.config(smtp=smtp(mailbox))
    code, _, err = await command("test-alert", config=config)
    assert (code, "no notifier runs" in err) == (1, True)
    code, _, err = await command("test-alert", "--channel", "telegram", config=config)
    assert (code, "telegram is not configured: set telegram.enabled" in err) == (1, True)
    assert await redis.exists(keys.SIGNALS) == 0

    mailbox.refuse(["trader@example.org"], "450 4.2.0 come back later")
    process = await running(bench, config)
    code, out, err = await command("test-alert", "--timeout", "3", config=config)
    assert (code, err) == (1, "")
    assert "NOT delivered within 3 s: " in out
    assert "come back later" in out
    assert not any(secret in out + err + process.log for secret in (PASSWORD, TOKEN))

    # The notifier is killed: nothing is added that would arrive at some later time.
    await process.kill()
    await redis.delete(*await redis.keys("health:*"))
    count = await redis.xlen(keys.SIGNALS)
    code, _, err = await command("test-alert", config=config)
    assert (code, "no notifier runs" in err) == (1, True)
    assert await redis.xlen(keys.SIGNALS) == count


async def test_a_dead_letter_ends_the_waiting_and_a_stopped_channel_is_named(
    bench: Bench, command: Terminal, redis: Redis, mailbox: Mailbox
) -> None:
    mailbox.refuse(["trader@example.org"])
    config = bench.config(smtp=smtp(mailbox))
    await running(bench, config)
    await redis.set(keys.gate("email"), "paused: the login is refused", px=300_000)
    code, out, _ = await command("test-alert", "--timeout", "1", config=config)
    assert (code, "the channel is stopped: paused: the login is refused" in out) == (1, True)
    await redis.delete(keys.gate("email"))
    code, out, _ = await command("test-alert", "--timeout", "100", config=config)
    assert (code, "  refused, now a dead letter: " in out) == (1, True)
    assert "550 5.1.1 no such user" in out
    assert "(./btc-scanner dead list)" in out
    assert "NOT delivered" not in out
    assert "may still arrive" not in out


async def test_a_channel_of_another_configuration_is_named(
    bench: Bench, command: Terminal, mailbox: Mailbox, bot_api: BotApi
) -> None:
    await running(bench, bench.config(smtp=smtp(mailbox)))
    config = bench.config(smtp=smtp(mailbox), telegram=telegram(bot_api.url))
    code, _, err = await command("test-alert", config=config)
    assert (code, "the running notifier does not serve telegram" in err) == (1, True)


async def test_muting_is_told_and_ends_with_one_digest(
    bench: Bench, command: Terminal, redis: Redis, mailbox: Mailbox
) -> None:
    config = bench.config(smtp=smtp(mailbox))
    await running(bench, config)
    code, out, _ = await command("mute", config=config)
    assert (code, out) == (0, "Not muted: signals are sent.\n")
    assert (await command("unmute", config=config))[1] == "Signals were not muted.\n"
    code, out, err = await command("mute", "90m", config=config)
    assert (code, err) == (0, "")
    assert out.startswith("MUTED until 2")
    assert "for 1h 30m" in out
    assert 5_300_000 < await redis.pttl(keys.MUTE) <= 5_400_000
    signals = [fresh_signal(number) for number in range(2)]
    await bench.emit(*signals)
    await wait_until(lambda: redis.exists(keys.muted(signals[1].id)), "the second one muted")
    _, out, _ = await command("mute", config=config)
    assert out.startswith("MUTED until 2")
    assert out.endswith("; 2 signals for the digest\n")
    _, out, _ = await command("status", config=config)
    assert "note: MUTED until 2" in out
    _, out, _ = await command("signals", config=config)
    assert out.count("email muted") == 2
    assert (await command("unmute", config=config))[1] == "Signals are sent again.\n"
    await bench.until_settled("email", 1, source=EVENTS)
    (mail,) = mailbox.mails
    assert ": 2 signals" in mail.text
    assert mail.subject == "[BTC SCALP] Mute OVER"
    _, out, _ = await command("signals", config=config)
    assert out.count("email muted") == 2


async def test_quiet_hours_are_told_and_what_is_no_time_is_refused(
    bench: Bench, command: Terminal, redis: Redis
) -> None:
    now = datetime.now(UTC)
    span = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=2):%H:%M}"
    config = bench.config(notifier={"quiet_hours": [span]})
    _, out, _ = await command("mute", config=config)
    assert out.startswith("MUTED until 2")
    assert out.endswith(f"0 signals for the digest\nQuiet hours: {span} (UTC)\n")
    _, out, _ = await command("unmute", config=config)
    assert "But these are quiet hours (notifier.quiet_hours) until 2" in out
    code, _, err = await command("mute", "soon", config=config)
    assert (code, "give how long, like 30m" in err) == (2, True)
    assert await redis.exists(keys.MUTE) == 0


async def test_a_mute_ends_by_itself(
    bench: Bench, command: Terminal, redis: Redis, mailbox: Mailbox
) -> None:
    config = bench.config(smtp=smtp(mailbox))
    await command("mute", "1m", config=config)
    await running(bench, config)
    await bench.emit(fresh_signal())
    await wait_until(lambda: redis.exists(keys.QUIET), "the muted signal", 60)
    await redis.pexpire(keys.MUTE, 1)
    await bench.until_settled("email", 1, source=EVENTS)
    assert ": 1 signal\r\n" in mailbox.mails[0].text
