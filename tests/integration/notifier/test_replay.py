"""What a person wants delivered once more gets that attempt, whatever comes between."""

from typing import Any

import pytest
from redis.asyncio import Redis

from cli.dead_letters import Letterbox
from services.notifier import inbox as inboxes
from services.notifier.channels import Broken, TryAgain, Undelivered, recipient
from services.notifier.decisions import REVIVED
from services.notifier.limiter import limiter_of
from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Settings
from shared.trade_signal import Signal
from sim.mailbox import Mailbox
from tests.waiting import wait_until

from .conftest import Bench, SilentPeer, fresh_signal, now_ms, smtp
from .fake_channel import FakeChannel

HOUR_MS = 3_600_000
# Too old to be tried again; older than the ledger remembers.
OLD_H, ANCIENT_H = 30, 200
BUSY = TryAgain("busy", "the peer is busy")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="session")
def redis_url(each_redis_url: str) -> str:
    """Every test here runs on each kind of server."""
    return each_redis_url


class Replays:
    """Alerts of a channel that all their recipients were given up for, long ago."""

    def __init__(self, bench: Bench, redis: Redis, channel: str = "fake") -> None:
        self._bench, self._redis, self._channel = bench, redis, channel

    async def buried(self, count: int, *, hours: int) -> list[Signal]:
        """So many alerts of that age, done with by the group."""
        at_ms = now_ms() - hours * HOUR_MS
        signals = [fresh_signal(number, received_at_ms=at_ms) for number in range(count)]
        self._entries = [
            await self._redis.xadd(keys.SIGNALS, _fields(each), id=f"{at_ms + number}-0")
            for number, each in enumerate(signals)
        ]
        await self._redis.xgroup_create(keys.SIGNALS, self._channel, id="$")
        self._signals = signals
        return signals

    async def replay(self, settings: Settings, *tags: str) -> None:
        """As ``dead replay --all`` does, of letters to these recipients."""
        for signal, entry in zip(self._signals, self._entries, strict=True):
            for tag in tags:
                await self._redis.set(
                    keys.delivered(self._channel, signal.id, tag), "1 dead", px=HOUR_MS
                )
                letter: Any = {
                    "id": signal.id, "source": keys.SIGNALS, "entry": entry, "recipient": tag,
                }  # fmt: skip
                await self._redis.xadd(keys.dead(self._channel), letter)
        box = Letterbox(self._redis, settings)
        statuses = await box.replay(await box.letters([self._channel]))
        assert set(statuses.values()) == {"revived"}
        assert await self.letters() == []

    async def letters(self) -> list[dict[str, str]]:
        return [
            {name.decode(): text.decode() for name, text in fields.items()}
            for _, fields in await self._redis.xrange(keys.dead(self._channel))
        ]

    async def holders(self) -> list[tuple[str, int]]:
        """Who holds what is pending, after how many attempts."""
        return [
            (row["consumer"].decode(), row["times_delivered"])
            for row in await self._bench.pending(self._channel)
        ]


def _fields(signal: Signal) -> Any:
    flat = signal.fields()
    return dict(zip(flat[::2], flat[1::2], strict=True))


@pytest.fixture
def replays(bench: Bench, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Replays:
    # The command knows the real channels; these tests have one of their own.
    monkeypatch.setattr("cli.dead_letters.tags_of", lambda *_: [])
    return Replays(bench, redis)


class Looks:
    """Counts how often notifiers looked at what is pending."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count, real = 0, inboxes.Inbox.pending

        async def pending(inbox: inboxes.Inbox) -> Any:
            self.count += 1
            return await real(inbox)

        monkeypatch.setattr(inboxes.Inbox, "pending", pending)

    async def several(self) -> None:
        goal = self.count + 4
        await wait_until(lambda: self.count >= goal, "several more looks")


@pytest.mark.parametrize("hours", [OLD_H, ANCIENT_H])
async def test_what_the_rate_limit_holds_back_is_still_tried(
    bench: Bench, replays: Replays, hours: int
) -> None:
    channel, settings = FakeChannel(), bench.settings()
    signals = await replays.buried(6, hours=hours)
    channel.limiter.waits["one"] = 0.02
    for consumer in ("here-1", "here-2"):
        await bench.deliver(channel, settings, consumer)
    await replays.replay(settings, channel.recipients[0].tag)
    await wait_until(lambda: channel.limiter.asked > 20, "many tries to be let through")
    assert await replays.letters() == []
    assert len(await replays.holders()) == 6
    channel.limiter.waits.clear()
    await bench.until_settled("fake", 6)
    assert sorted(channel.asked) == sorted((each.id, "one") for each in signals)
    assert await replays.letters() == []


async def test_more_letters_than_telegram_takes_at_once_are_all_delivered(
    bench: Bench, replays: Replays, redis_url: str
) -> None:
    channel = FakeChannel("4242")
    settings = bench.settings(telegram={"chat_messages_per_second": 10})
    access = RedisAccess(redis_url, name="limiter")
    bench.stack.push_async_callback(access.close)
    channel.limiter = limiter_of("telegram", access, settings)  # type: ignore[assignment]
    signals = await replays.buried(15, hours=OLD_H)
    await bench.deliver(channel, settings)
    await replays.replay(settings, channel.recipients[0].tag)
    await bench.until_settled("fake", 15)
    assert sorted(channel.asked) == sorted((each.id, "4242") for each in signals)
    assert await replays.letters() == []


@pytest.mark.parametrize("hours", [OLD_H, ANCIENT_H])
async def test_what_comes_to_a_closed_channel_waits_until_it_opens(
    bench: Bench, redis: Redis, replays: Replays, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, settings, looks = FakeChannel(), bench.settings(), Looks(monkeypatch)
    [signal] = await replays.buried(1, hours=hours)
    await redis.set(keys.gate("fake"), "paused: the peer wants us to wait", px=HOUR_MS)
    await bench.deliver(channel, settings)
    await replays.replay(settings, channel.recipients[0].tag)
    await looks.several()
    assert (await replays.holders(), await replays.letters()) == ([(REVIVED, 0)], [])
    await redis.delete(keys.gate("fake"))
    await bench.until_settled("fake", 1)
    assert channel.asked == [(signal.id, "one")]
    assert await replays.letters() == []


@pytest.mark.parametrize("hours", [OLD_H, ANCIENT_H])
async def test_when_the_peer_wants_us_to_wait_it_is_tried_after_that(
    bench: Bench, redis: Redis, replays: Replays, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose turn comes after the channel was closed were in the same round."""
    channel, settings, looks = FakeChannel(), bench.settings(), Looks(monkeypatch)
    signals = await replays.buried(9, hours=hours)
    for each in signals:
        channel.troubles[each.id, "one"] = TryAgain("flood", "wait an hour", 3600.0)
    await bench.deliver(channel, settings)
    await replays.replay(settings, channel.recipients[0].tag)
    await wait_until(lambda: redis.exists(keys.gate("fake")))
    await looks.several()
    assert (await replays.holders(), await replays.letters()) == ([(REVIVED, 0)] * 9, [])
    channel.troubles.clear()
    await redis.delete(keys.gate("fake"))
    await bench.until_settled("fake", 9)
    assert sorted(channel.accepted) == sorted((each.id, "one") for each in signals)
    assert await replays.letters() == []


@pytest.mark.parametrize("hours", [OLD_H, ANCIENT_H])
@pytest.mark.parametrize(
    "failure", [BUSY, Broken("login", "the login is wrong"), KeyError("secret")], ids=repr
)
async def test_what_fails_again_is_a_letter_again_after_one_attempt(
    bench: Bench, replays: Replays, hours: int, failure: Exception
) -> None:
    channel, settings = FakeChannel(), bench.settings()
    [signal] = await replays.buried(1, hours=hours)
    channel.troubles[signal.id, "one"] = failure
    await bench.deliver(channel, settings)
    await replays.replay(settings, channel.recipients[0].tag)
    await wait_until(replays.letters)
    [letter] = await replays.letters()
    said = failure.reason if isinstance(failure, Undelivered) else "an error nobody expected"
    assert letter["reason"].startswith(f"older than 24 h; the last attempt: {said}")
    assert letter["attempts"] == "1"
    assert channel.asked == [(signal.id, "one")]
    assert await replays.holders() == []


async def test_of_two_recipients_one_fails_and_the_other_still_gets_its_attempt(
    bench: Bench, redis: Redis, replays: Replays
) -> None:
    channel, settings = FakeChannel("fails", "waits"), bench.settings()
    [signal] = await replays.buried(1, hours=ANCIENT_H)
    channel.troubles[signal.id, "fails"] = BUSY
    channel.limiter.waits["waits"] = 0.02
    fails, waits = [each.tag for each in channel.recipients]
    await bench.deliver(channel, settings)
    await replays.replay(settings, fails, waits)
    await wait_until(replays.letters)
    await wait_until(lambda: channel.limiter.asked > 5, "the other to be held back for a while")
    channel.limiter.waits.clear()
    await bench.until_settled("fake", 1)
    assert sorted(channel.asked) == [(signal.id, "fails"), (signal.id, "waits")]
    [letter] = await replays.letters()
    assert letter["recipient"] == fails


async def test_what_is_young_enough_is_tried_on_after_a_failure(
    bench: Bench, replays: Replays
) -> None:
    channel, settings = FakeChannel(), bench.settings()
    [signal] = await replays.buried(1, hours=2)
    channel.troubles[signal.id, "one"] = BUSY
    await bench.deliver(channel, settings)
    await replays.replay(settings, channel.recipients[0].tag)
    await wait_until(lambda: len(channel.asked) >= 3)
    [(holder, attempts)] = await replays.holders()
    assert holder == "here-1"
    assert attempts >= 2
    channel.troubles.clear()
    await bench.until_settled("fake", 1)
    assert await replays.letters() == []


async def test_killed_in_the_middle_of_that_attempt_another_notifier_makes_it(
    bench: Bench, redis: Redis, silent_peer: SilentPeer, mailbox: Mailbox
) -> None:
    replays = Replays(bench, redis, "email")
    waits = {"claim_idle_seconds": 2.0, "retry_base_seconds": 0.05, "retry_max_seconds": 0.2}
    silent = smtp(mailbox, port=silent_peer.port, timeout_seconds=1.0)
    sections: dict[str, object] = {"smtp": silent, "notifier": waits}
    [signal] = await replays.buried(1, hours=ANCIENT_H)
    settings = bench.settings(**sections)
    process = await bench.start(bench.config(**sections))
    await process.until_logged("reading as")
    assert settings.smtp is not None
    [address] = settings.smtp.to_email
    await replays.replay(settings, recipient(address).tag)
    await wait_until(lambda: silent_peer.connections, "a send in flight")
    await process.kill()
    assert (await replays.holders(), await replays.letters()) == ([(REVIVED, 1)], [])
    heir = await bench.start(
        bench.config(**{**sections, "smtp": smtp(mailbox, timeout_seconds=1.0)})
    )
    await bench.until_settled("email", 1)
    assert [mail.signal_id for mail in mailbox.mails] == [signal.id]
    assert await replays.letters() == []
    await heir.until_logged("so it may be there twice")
