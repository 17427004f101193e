"""What a notifier says when it is asked whether it is well."""

import time

import pytest
from redis.asyncio import Redis

from shared import keys
from shared.checkup import Checkup

from .conftest import Bench, telegram

MAIL = {"server": "mail.example.org", "from_email": "a@example.org", "to_email": "b@example.org"}


@pytest.mark.parametrize(
    ("served", "well"), [("email", True), ("email telegram", False), ("telegram", False)]
)
async def test_a_notifier_is_judged_by_the_channels_that_it_serves(
    bench: Bench, redis: Redis, served: str, well: bool
) -> None:
    settings = bench.settings(smtp=MAIL, telegram=telegram("http://127.0.0.1:9"))
    postman = bench.postman(settings)
    bench.stack.push_async_callback(postman.access.close)
    await redis.xgroup_create(keys.SIGNALS, "email", id="0", mkstream=True)
    await redis.xgroup_create(keys.SIGNALS, "telegram", id="0", mkstream=True)
    await redis.xadd(keys.SIGNALS, {"field": "text"}, id="1-0")  # since 1970
    await redis.xgroup_setid(keys.SIGNALS, "email", id="1-0")
    postman.heartbeat.facts["channels"] = served
    postman.heartbeat.state = "running"
    postman.heartbeat._written = time.monotonic()
    found, words = await Checkup(0.0, settings, postman.access, postman.heartbeat).verdict()
    assert found is well, words
    assert ("telegram" in words) is not well
