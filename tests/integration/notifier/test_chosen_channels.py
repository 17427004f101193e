"""``--channels`` with real processes."""

from redis.asyncio import Redis

from shared import keys
from sim.bot_api import BotApi
from sim.mailbox import Mailbox

from .conftest import Bench, fresh_signal, smtp, telegram

WRONG_CONFIGURATION = 78


async def test_a_process_serves_the_chosen_channel_alone(
    bench: Bench, redis: Redis, mailbox: Mailbox, bot_api: BotApi
) -> None:
    config = bench.config(smtp=smtp(mailbox), telegram=telegram(bot_api.url))
    process = await bench.start(config, "mail", "--channels", "email")
    await bench.emit(fresh_signal())
    await bench.until_settled("email", 1)
    assert [row["name"] for row in await redis.xinfo_groups(keys.SIGNALS)] == [b"email"]
    health = await redis.hgetall(keys.health("notifier", "mail"))
    assert health[b"channels"] == b"email"
    assert (await process.terminate())[0] == 0
    assert not bot_api.messages


async def test_a_channel_that_is_not_configured_ends_it_with_the_remedy(
    bench: Bench, mailbox: Mailbox
) -> None:
    config = bench.config(smtp=smtp(mailbox))
    process = await bench.start(config, "1", "--channels", "email,telegram")
    assert await process.child.wait() == WRONG_CONFIGURATION
    assert "--channels names telegram, which is not configured: set telegram.enabled" in process.log
    assert "Traceback" not in process.log


async def test_what_is_no_channel_ends_it_as_wrong_usage(bench: Bench) -> None:
    process = await bench.start(bench.config(), "1", "--channels", "pigeon")
    assert await process.child.wait() == 2
    assert "'pigeon' is no channel; use email, telegram, console" in process.log
