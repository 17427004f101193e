"""Sentinel and Cluster as the services see them: scripts, reads, groups, and what breaks."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.notifier.inbox import Inbox
from shared import keys
from shared.redis_access import RedisAccess
from shared.trade_signal import example_signal
from tests.integration.redis_topologies.topologies import (
    Cluster,
    Sentinels,
    running_cluster,
    running_sentinels,
)
from tests.integration.shared.bench import (
    SYMBOL,
    access_to,
    computing,
    judging,
    market,
    publish,
    signal_ids,
    stored,
    until_position,
)


@pytest.fixture
async def sentinels(tmp_path: Path) -> AsyncIterator[Sentinels]:
    async with running_sentinels(tmp_path / "sentinels") as made:
        yield made


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with running_cluster(tmp_path / "cluster") as made:
        yield made


def inbox_of(access: RedisAccess) -> Inbox:
    return Inbox(access, "email", "me", ledger_ttl_ms=60_000, events_maxlen=100)


async def scripts_reads_and_groups(url: str) -> None:
    """What all services do, with their own code."""
    async with access_to(url) as access:
        await access.ready()
        async with computing(url), judging(url):
            await publish(access, market(800).fed)
            await until_position(access.client, "detector", market(800).entries[-1].entry_id)
        assert await stored(access.client, keys.indicators(SYMBOL)) == market(800).indicators
        assert await signal_ids(access.client) == market(800).signals
        await groups(access)


async def groups(access: RedisAccess) -> None:
    """A consumer group from creation to the ledger."""
    signal_ = example_signal()
    fields = signal_.fields()
    entry = await access.client.xadd(
        keys.SIGNALS, dict(zip(fields[::2], fields[1::2], strict=True))
    )
    inbox = inbox_of(access)
    count = len(await inbox.read(1000, 10))
    await inbox.create()
    assert await inbox.read(10, 10) == []
    assert count == await access.client.xlen(keys.SIGNALS)
    pending = (await inbox.pending(None))[-1]
    assert await inbox.claim(pending)
    [recipient] = recipients = _recipients()
    assert await inbox.missing(signal_, recipients) == (recipient,)
    for _ in range(2):
        assert await inbox.settle(entry, signal_, recipient, recipients, message_id="<m>", now_ms=1)
    assert await inbox.missing(signal_, recipients) == ()
    await inbox.note_failure("because", 1)
    await inbox.note_event("event", "because", 1)


def _recipients() -> tuple:
    from services.notifier.channels import recipient

    return (recipient("trader@example.com"),)


async def test_everything_works_behind_sentinels(sentinels: Sentinels) -> None:
    await scripts_reads_and_groups(sentinels.url)


async def test_everything_works_on_a_cluster(cluster: Cluster) -> None:
    await scripts_reads_and_groups(cluster.url)
