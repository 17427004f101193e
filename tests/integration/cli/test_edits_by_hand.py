"""``status`` and ``signals`` after edits with redis-cli: words, whatever stands there."""

import pytest
from redis.asyncio import Redis

from cli import signals_command
from cli.asking import RedisUnusable, answered
from cli.status.gather import gather
from cli.status.screen import text
from cli.status.verdict import judge
from shared import keys
from shared.settings import Redis as RedisSettings
from shared.settings import Settings
from tests.integration.shared.bench import access_to, computing, judging, publish
from tests.integration.shared.test_data_loss import until, until_judged
from tests.integration.shared.test_edits_by_hand import PASSED_OVER, WAITED_FOR, run

EDITS = PASSED_OVER | WAITED_FOR


async def test_every_edit_leaves_something_to_show(redis: Redis, url: str) -> None:
    settings, half = Settings(redis=RedisSettings(url=url)), until(0.5)
    async with access_to(url) as access, computing(url), judging(url):
        await publish(access, half.fed)
        await until_judged(redis, half)
    kept = {key: await redis.dump(key) for key in await redis.keys()}
    for name, edit in EDITS.items():
        await redis.flushall()
        for key, dumped in kept.items():
            await redis.restore(key, 0, dumped)
        await run(redis, edit.commands, half)
        facts = await answered(settings, lambda client: gather(client, settings))
        assert text(facts, judge(facts)), name
        if name != "signals: another type":
            found = await signals_command.gather(redis, settings, 5)
            assert len(signals_command.text(found, tick="ok").splitlines()) > 5, name


async def test_a_key_in_place_of_the_signals_is_named(redis: Redis, url: str) -> None:
    settings = Settings(redis=RedisSettings(url=url))
    await redis.set(keys.SIGNALS, "garbage")
    with pytest.raises(RedisUnusable, match=r"a string, not a stream.*\(DEL sign"):
        await answered(settings, lambda client: signals_command.gather(client, settings, 5))
