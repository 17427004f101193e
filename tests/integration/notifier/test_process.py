"""The notifier as the process that people run: started, killed, stopped, doubled."""

import signal

import pytest
from redis.asyncio import Redis

from shared import keys
from sim.bot_api import BotApi
from sim.mailbox import Mailbox
from sim.redis_proxy import RedisProxy
from tests.waiting import wait_until

from .conftest import PASSWORD, TOKEN, Bench, SilentPeer, fresh_signal, smtp, telegram

# A process that imports aiogram takes seconds to start, on a busy machine many.
IMPORT_S = 60.0
pytestmark = pytest.mark.timeout(180)


async def test_both_channels_deliver_once_also_over_a_restart(
    bench: Bench, redis: Redis, mailbox: Mailbox, bot_api: BotApi
) -> None:
    config = bench.config(smtp=smtp(mailbox), telegram=telegram(bot_api.url))
    signals = [fresh_signal(number) for number in range(6)]
    await bench.emit(*signals[:3], fresh_signal(99, stale=True))
    first = await bench.start(config)
    await bench.until_settled("email", 3)
    await bench.until_settled("telegram", 3, IMPORT_S)
    health = await redis.hgetall(keys.health("notifier", "1"))
    assert health[b"state"] == b"running"
    assert health[b"channels"] == b"email telegram"
    assert b"frame_to_email_p50_ms" in health
    code, seconds = await first.terminate()
    assert (code, seconds < 5) == (0, True)
    assert await redis.exists(keys.health("notifier", "1")) == 0
    await bench.emit(*signals[3:])
    second = await bench.start(config)
    await bench.until_settled("email", 6)
    await bench.until_settled("telegram", 6, IMPORT_S)
    await second.terminate()
    assert [mail.signal_id for mail in mailbox.mails] == [one.id for one in signals]
    assert [m.text.splitlines()[-1] for m in bot_api.messages] == [
        f"{one.closed_at:%H:%M:%S} UTC" for one in signals
    ]
    logs = first.log + second.log
    assert f"email: {signals[0].id} delivered to" in logs
    assert "attempt 1" in logs
    assert TOKEN not in logs
    assert PASSWORD not in logs
    assert "Traceback" not in logs


async def test_a_dead_telegram_does_not_delay_the_email(
    bench: Bench, mailbox: Mailbox, silent_peer: SilentPeer
) -> None:
    url = f"http://127.0.0.1:{silent_peer.port}"
    config = bench.config(smtp=smtp(mailbox), telegram=telegram(url, timeout_seconds=30.0))
    process = await bench.start(config)
    await bench.emit(fresh_signal(0))
    await wait_until(lambda: silent_peer.connections, "telegram to be asked", IMPORT_S)
    later = fresh_signal(1)
    await bench.emit(later)
    await bench.until_settled("email", 2)
    assert len(await bench.pending("telegram")) >= 1
    [mail] = [mail for mail in mailbox.mails if mail.signal_id == later.id]
    assert mail.received_at_ns / 1e6 - later.received_at_ms < 1000
    code, seconds = await process.terminate()
    assert (code, seconds < 5) == (0, True)
    assert TOKEN not in process.log


async def test_killed_in_the_middle_of_a_send_the_next_life_delivers(
    bench: Bench, silent_peer: SilentPeer, mailbox: Mailbox
) -> None:
    port = silent_peer.port
    process = await bench.start(bench.config(smtp=smtp(mailbox, port=port)))
    signal = fresh_signal()
    await bench.emit(signal)
    await wait_until(lambda: silent_peer.connections, "a send in flight")
    await process.kill()
    [left] = await bench.pending("email")
    await bench.start(bench.config(smtp=smtp(mailbox)))
    await bench.until_settled("email", 1)
    assert [mail.signal_id for mail in mailbox.mails] == [signal.id]
    assert left["times_delivered"] == 1


async def test_a_notifier_that_stood_still_does_not_send_what_another_has_taken(
    bench: Bench, redis: Redis, redis_url: str, mailbox: Mailbox
) -> None:
    """Frozen between reading and sending, for longer than an entry is left to its reader."""
    sections = {
        "smtp": smtp(mailbox, timeout_seconds=0.5),
        "notifier": {"claim_idle_seconds": 0.6, "retry_base_seconds": 0.05},
    }
    async with RedisProxy(redis_url) as proxy:
        frozen = await bench.start(bench.config(**sections, redis={"url": proxy.url}))
        await frozen.until_logged("reading as")
        proxy.delay(1.0, commands=["EXISTS"])  # it asks who has the signal already
        signal_sent = fresh_signal()
        await bench.emit(signal_sent)
        await wait_until(lambda: proxy.hit["EXISTS"], "the question")
        frozen.child.send_signal(signal.SIGSTOP)
        await bench.start(bench.config(**sections), instance="2")
        await bench.until_settled("email", 1, IMPORT_S)
        frozen.child.send_signal(signal.SIGCONT)
        await frozen.until_logged("not sent: everybody has it")
        await bench.emit(fresh_signal(1))
        await bench.until_settled("email", 2)
    assert sorted(mail.signal_id for mail in mailbox.mails) == sorted(
        [signal_sent.id, fresh_signal(1).id]
    )


async def test_killed_again_and_again_nothing_is_lost(
    bench: Bench, redis: Redis, mailbox: Mailbox
) -> None:
    config = bench.config(smtp=smtp(mailbox))
    signals = [fresh_signal(number) for number in range(300)]
    await bench.emit(*signals)
    for goal in (20, 80, 150):
        process = await bench.start(config)
        await wait_until(lambda goal=goal: len(mailbox.mails) >= goal)
        await process.kill()
    await bench.start(config)
    await bench.until_settled("email", 300)
    ids = [mail.signal_id for mail in mailbox.mails]
    assert set(ids) == {one.id for one in signals}
    repeats = len(ids) - len(set(ids))
    assert repeats <= 3  # at most the one in flight at each kill, and recognisable:
    assert len({mail.message_id for mail in mailbox.mails}) == 300


async def test_two_processes_share_the_group_under_names_of_their_own(
    bench: Bench, redis: Redis, mailbox: Mailbox
) -> None:
    config = bench.config(smtp=smtp(mailbox))
    for _ in range(2):
        process = await bench.start(config)
        await process.until_logged("reading as")
    signals = [fresh_signal(number) for number in range(60)]
    await bench.emit(*signals)
    await bench.until_settled("email", 60)
    assert sorted(mail.signal_id for mail in mailbox.mails) == sorted(one.id for one in signals)
    names = [one["name"] for one in await redis.xinfo_consumers(keys.SIGNALS, "email")]
    assert len(names) == 2
    beats = [key async for key in redis.scan_iter(match="health:notifier:*")]
    assert sorted(beats) == [b"health:notifier:1", b"health:notifier:1-2"]


async def test_sigterm_ends_within_five_seconds_although_the_mail_server_hangs(
    bench: Bench, silent_peer: SilentPeer, mailbox: Mailbox
) -> None:
    section = smtp(mailbox, port=silent_peer.port, timeout_seconds=30.0)
    process = await bench.start(bench.config(smtp=section))
    await bench.emit(fresh_signal())
    await wait_until(lambda: silent_peer.connections, "a send in flight")
    code, seconds = await process.terminate()
    assert code == 0
    assert seconds < 5
    assert len(await bench.pending("email")) == 1


async def test_a_wrong_password_names_the_remedy_and_the_signal_waits(
    bench: Bench, mailbox: Mailbox
) -> None:
    section = smtp(mailbox, password="wr0ng-pa55")
    process = await bench.start(bench.config(smtp=section))
    await bench.emit(fresh_signal(), fresh_signal(1))
    await process.until_logged("[ERROR]")
    assert "check smtp.user and smtp.password" in process.log
    assert process.log.count("[ERROR]") == 1
    assert "wr0ng-pa55" not in process.log
    mailbox.password = "wr0ng-pa55"
    await bench.until_settled("email", 2)


async def test_without_channels_alerts_go_to_the_console_with_a_warning(bench: Bench) -> None:
    process = await bench.start(bench.config())
    await bench.emit(fresh_signal())
    await bench.until_settled("console", 1)
    await process.terminate()
    assert "[WARNING] [notifier] neither email nor Telegram is configured" in process.log
    assert "\n🟢 BTC/USD Scalping Signal Detected\n\nSignal Type: LONG\n" in process.log
