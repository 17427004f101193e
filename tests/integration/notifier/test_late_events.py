"""An event that comes late does not call for help against what is over."""

from collections.abc import Mapping

import pytest
from redis.asyncio import Redis

from services.notifier.channels import Broken, Channel
from services.notifier.channels.email_channel import EmailChannel
from services.notifier.channels.telegram_channel import TelegramChannel
from services.notifier.sources import EVENTS
from services.notifier.wording import Wording
from shared import keys
from shared.event import Trouble
from shared.events import read_event
from sim.bot_api import BotApi
from sim.mailbox import Mailbox
from tests.waiting import wait_until

from .conftest import PERIODS, Bench, fresh_signal, now_ms, smtp, telegram
from .fake_channel import FakeChannel

pytestmark = pytest.mark.timeout(90)  # importing aiogram takes seconds

LATE_S = 0.05
LATE = {"retry_base_seconds": 0.05, "retry_max_seconds": 0.2, "late_after_seconds": LATE_S}
OVER, OPEN = "this is over by now", "more may have happened since"


def other_channel(kind: str, bench: Bench, mailbox: Mailbox, bot_api: BotApi) -> Channel:
    settings = bench.settings(smtp=smtp(mailbox), telegram=telegram(bot_api.url))
    wording = Wording(PERIODS, "BTC", LATE_S)
    if kind == "telegram":
        return TelegramChannel(settings.telegram, wording)
    assert settings.smtp is not None
    return EmailChannel(settings.smtp, wording)


async def events_by_age(redis: Redis) -> Mapping[str, int]:
    found = [read_event(*entry) for entry in await redis.xrange(keys.EVENTS)]
    return {f"{event.subject} {event.state}": now_ms() - event.at_ms for event in found}


@pytest.mark.parametrize("kind", ["email", "telegram"])
async def test_of_a_channel_that_was_repaired_the_late_alert_says_that_it_is_over(
    kind: str, bench: Bench, redis: Redis, mailbox: Mailbox, bot_api: BotApi
) -> None:
    settings = bench.settings(notifier=LATE)
    broken, other = FakeChannel(name="broken"), other_channel(kind, bench, mailbox, bot_api)
    signal = fresh_signal()
    broken.troubles[signal.id, "one"] = Broken("login", "the login is wrong")
    await redis.set(keys.gate(kind), "paused: an outage of its own", px=300_000)
    await bench.deliver(broken, settings)
    await bench.deliver(other, settings, source=EVENTS)
    await bench.events().begin("feed:BTCUSDT", Trouble("blind", now_ms() - 9), "feed BLIND …")
    await bench.emit(signal)

    async def both_are_late() -> bool:
        ages = await events_by_age(redis)
        return len(ages) == 2 and min(ages.values()) > LATE_S * 1000

    await wait_until(both_are_late)
    broken.troubles.clear()

    async def recovered() -> bool:
        return "channel:broken recovered" in await events_by_age(redis)

    await wait_until(recovered)
    await redis.delete(keys.gate(kind))
    await bench.until_settled(kind, 3, source=EVENTS)
    texts = [mail.text for mail in mailbox.mails] + [sent.text for sent in bot_api.messages]
    [told] = [text for text in texts if "broken is broken" in text]
    [blind] = [text for text in texts if "feed BLIND" in text]
    [again] = [text for text in texts if "broken works again" in text]
    assert len(texts) == 3
    assert (OVER in told, OPEN in told) == (True, False)
    assert (OVER in blind, OPEN in blind) == (False, True)
    assert OVER not in again
