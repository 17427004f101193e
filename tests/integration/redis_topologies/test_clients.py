"""Sentinel and Cluster as the services see them: scripts, reads, groups, and what breaks."""

import asyncio
import json
import logging
import signal
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from cli.asking import answered
from cli.dead_letters import Letterbox
from cli.doctor import ask_redis
from cli.doctor.installation import installation
from cli.doctor.report import Finding, ok
from cli.status.gather import gather
from services.notifier.channels import Receipt, Recipient, recipient
from services.notifier.consumers import Consumers
from services.notifier.dead_letter import DeadLetter
from services.notifier.gate import Gate
from services.notifier.inbox import Inbox
from services.notifier.limiter import limiter_of
from services.notifier.mute import Mute
from services.notifier.sources import EVENTS, SIGNALS
from shared import keys
from shared.event import Trouble, read_event
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.redis_access import RedisAccess
from shared.redis_cluster import ClusterClient, TwoSlots, slot_of
from shared.roll_call import RollCall
from shared.settings import Health, Settings, Streams
from shared.settings import Redis as RedisSettings
from shared.trade_signal import example_signal
from tests.integration.redis_topologies.topologies import (
    Cluster,
    Sentinels,
    free_ports,
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
from tests.waiting import wait_until

T = TypeVar("T")


@contextmanager
def running(context: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Servers for several tests, each with an event loop of its own."""
    with asyncio.Runner() as runner:
        try:
            yield runner.run(context.__aenter__())
        finally:
            runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with running(running_sentinels(tmp_path_factory.mktemp("sentinels"))) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(running_cluster(tmp_path_factory.mktemp("cluster"), replicas=3)) as made:
        yield made


def inbox_of(access: RedisAccess) -> Inbox:
    events = EventsWriter(access, "notifier", "1", Streams())
    return Inbox(
        access, SIGNALS, "email", "me", ledger_ttl_ms=60_000, dead_maxlen=100, events=events
    )


async def scripts_reads_and_groups(url: str) -> None:
    """What all services do, with their own code."""
    async with access_to(url) as access:
        await access.ready()
        await access.client.flushall()
        async with computing(url), judging(url):
            await publish(access, market(800).fed)
            await until_position(access.client, "detector", market(800).entries[-1].entry_id)
        assert await stored(access.client, keys.indicators(SYMBOL)) == market(800).indicators
        assert await signal_ids(access.client) == market(800).signals
        await groups(access)
        await operational(access)


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
    pending = (await inbox.pending())[-1]
    assert await inbox.claim(pending)
    [recipient] = recipients = _recipients()
    assert await inbox.missing(signal_, recipients) == (recipient,)
    for _ in range(2):
        assert await inbox.settle(
            entry, signal_, recipient, recipients, receipt=Receipt("<m>"), now_ms=1
        )
    assert await inbox.missing(signal_, recipients) == ()
    await inbox.note_failure("because", 1)
    await given_up(access, entry)
    await edited_by_hand(access)


async def given_up(access: RedisAccess, entry: bytes) -> None:
    """A dead letter and its replay; rate limits, gates, mute; consumers that are gone."""
    signal_, [recipient] = example_signal(), (recipients := (Recipient("x", "x@example.com"),))
    alert = {b"signal": b"a sentence"}
    letter = DeadLetter("email", signal_.id, keys.SIGNALS, entry, "x", "because", 1, 1, alert)
    inbox = inbox_of(access)
    assert await inbox.bury(letter, signal_, recipient, recipients)
    assert not await inbox.bury(letter, signal_, recipient, recipients)
    gate = Gate(access, EventsWriter(access, "notifier", "1", Streams()), "email", probe_s=30.0)
    await gate.pause(5.0, "wait")
    assert not await gate.enter()
    await gate.break_("the login is wrong")
    await gate.start()
    assert await gate.enter()
    assert await gate.worked()
    assert not await Mute(access, Settings()).holds_back(signal_)
    box = Letterbox(access.client, Settings())
    [found] = await box.letters()
    assert await box.replay([found]) == {found.name: "revived"}
    assert await box.replay([found]) == {found.name: "gone"}
    limiter = limiter_of("telegram", access, Settings())
    group = Recipient("x", "-1")
    assert await limiter.admit(group) == 0
    assert await limiter.admit(group) > 0
    assert await Consumers(access, ["email"], "me", unheard_ms=0).tidy() == 0  # it holds a replay
    await access.client.xack(keys.SIGNALS, "email", entry)
    assert await Consumers(access, ["email"], "me", unheard_ms=0).tidy() == 1


async def operational(access: RedisAccess) -> None:
    """Events from the roll call to the group; that a group was gone is told already."""
    events = EventsWriter(access, "ingest", "1", Streams())
    await RollCall(access, events, "ingest", Health()).answer()
    assert await events.begin("service:detector", Trouble("down", 7), "detector DOWN")
    await RollCall(access, events, "detector", Health()).answer()
    inbox = Inbox(
        access, EVENTS, "email", "me", ledger_ttl_ms=60_000, dead_maxlen=100, events=events
    )
    await inbox.create()
    told = [read_event(*entry) for entry in await inbox.read(10, 10)]
    assert [event.state for event in told] == ["lost", "broken", "recovered", "down", "up"]
    [recipient] = recipients = _recipients()
    [pending, *_] = await inbox.pending()
    await inbox.settle(
        pending.entry_id, told[0], recipient, recipients, receipt=Receipt("<m>"), now_ms=1
    )
    assert await inbox.missing(told[0], recipients) == ()
    assert len(await inbox.pending()) == 4


async def edited_by_hand(access: RedisAccess) -> None:
    """Every kind of client says which key was refused, alone, in a script and in a pipeline."""
    client, key = access.client, keys.progress(SYMBOL)
    await client.set(key, "garbage")

    async def in_a_pipeline() -> None:
        async with client.pipeline(transaction=True) as pipe:
            pipe.hget(key, "indicators")
            await pipe.execute()

    wanted = f"holds a string, not a hash, as {key}: delete it (DEL {key})"
    script = access.script("return redis.call('HGET', KEYS[1], 'indicators')")
    for operation in (
        lambda: client.hget(key, "indicators"),
        lambda: script([key], []),
        in_a_pipeline,
    ):
        task = asyncio.create_task(access.patiently(operation))
        await wait_until(lambda: wanted in (access.trouble or ""), wanted)
        task.cancel()
        await asyncio.wait([task])


def _recipients() -> tuple[Recipient, ...]:
    return (recipient("trader@example.com"),)


async def test_everything_works_behind_sentinels(sentinels: Sentinels) -> None:
    await scripts_reads_and_groups(sentinels.url)


async def test_everything_works_on_a_cluster(cluster: Cluster) -> None:
    await scripts_reads_and_groups(cluster.url)


def settings_of(url: str) -> Settings:
    return Settings(redis=RedisSettings(url=SecretStr(url)))


async def test_status_sees_the_whole_cluster(cluster: Cluster) -> None:
    settings = settings_of(cluster.url)
    names = [f"i{n}" for n in range(12)]  # on all three owners
    async with access_to(cluster.url) as access, asyncio.TaskGroup() as group:
        await access.client.flushall()
        beats = [
            group.create_task(Heartbeat("ingest", name, Health()).beat(access)) for name in names
        ]
        await publish(access, market(200).fed)

        async def all_there() -> bool:
            facts = await answered(settings, lambda client: gather(client, settings))
            assert facts.redis.version.startswith(("Redis ", "Valkey "))
            assert facts.redis.url == cluster.url
            lengths = {each.timeframe: each.length for each in facts.candles}
            assert lengths == {name: len(fed) for name, fed in market(200).fed.items()}
            return sorted(each.instance for each in facts.services) == sorted(names)

        await wait_until(all_there, "all heartbeats")
        for beat in beats:
            beat.cancel()


async def test_a_sentinel_that_is_frozen_holds_nobody_up(sentinels: Sentinels) -> None:
    sentinels.sentinels[0].signal(signal.SIGSTOP)
    try:
        async with access_to(sentinels.url) as access, asyncio.timeout(4):
            await access.patiently(lambda: access.client.set("key", "1"))
            assert access.trouble is None
    finally:
        sentinels.sentinels[0].signal(signal.SIGCONT)


async def trouble_at(url: str) -> str:
    async with access_to(url) as access:
        task = asyncio.create_task(access.value("signals-"))
        found = await wait_until(lambda: access.trouble, "trouble")
        task.cancel()
    return str(found)


async def test_a_wrong_form_or_name_is_told_with_its_remedy(
    sentinels: Sentinels, cluster: Cluster
) -> None:
    wrong_name = sentinels.url.replace("mymaster", "other")
    assert "no primary named other, say its sentinels: correct" in await trouble_at(wrong_name)
    nobody = f"redis+sentinel://127.0.0.1:{free_ports(1)[0]}/mymaster"
    assert "has no sentinel that answers: start them" in await trouble_at(nobody)
    primary = (await sentinels.primary()).port
    no_cluster = f"redis+cluster://127.0.0.1:{primary}"
    assert "is no cluster: write redis://" in await trouble_at(no_cluster)
    owner = await cluster.owner(slot_of(b"signals-"))
    other = next(node for node in cluster.nodes[:3] if node is not owner)
    one_node = f"redis://127.0.0.1:{other.port}"
    assert "is a node of a cluster: write redis+cluster://" in await trouble_at(one_node)


async def test_a_slot_that_moves_is_waited_for_and_followed(cluster: Cluster) -> None:
    slot = slot_of(f"{{{SYMBOL}}}".encode())
    source = await cluster.owner(slot)
    target = next(node for node in cluster.nodes[:3] if node is not source)
    ids = [(await node.ask("CLUSTER", "MYID")).decode() for node in (source, target)]
    async with access_to(cluster.url) as access:
        await access.client.flushall()
        await publish(access, market(200).fed)
        await target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        await source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
        held = await source.ask("CLUSTER", "GETKEYSINSLOT", slot, 100)
        await source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *held)
        key = keys.totals(SYMBOL)
        task = asyncio.create_task(access.fields(key))
        await wait_until(lambda: access.trouble, "trouble")
        assert "moves keys between its nodes; this ends by itself" in str(access.trouble)
        for node in (target, source, *cluster.nodes[:3]):
            await node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[1])
        assert int((await task)[b"1m"]) > 0
        await publish(access, market(300).fed)  # a script, in the new place


async def test_one_step_touches_one_slot(cluster: Cluster) -> None:
    async with access_to(cluster.url) as access:
        async with access.client.pipeline(transaction=True) as pipe:
            pipe.set("a", "1")
            pipe.set("b", "1")
            with pytest.raises(TwoSlots):
                await pipe.execute()
        async with access.client.pipeline(transaction=False) as pipe:
            pipe.set("a", "1")
            pipe.set("b", "2")
            pipe.get("a")
            assert await pipe.execute() == [True, True, b"1"]


async def doctored(url: str, folder: Path) -> list[Finding]:
    """What the doctor says of Redis."""
    config = folder / "config.json"
    config.write_text(json.dumps({"redis": {"url": url}}))
    return [each async for each in ask_redis.ask(installation(config))]


async def test_the_doctor_looks_at_every_node_that_is_written_to(
    cluster: Cluster, tmp_path: Path
) -> None:
    found = await doctored(cluster.url, tmp_path)
    assert [each for each in found if each.level == "fail"] == []
    named = {each.what.partition(": ")[0] for each in found if each.check == "Redis eviction"}
    async with access_to(cluster.url) as access:
        assert isinstance(access.client, ClusterClient)
        owners = await access.client.primaries()
    assert named == {f"{host}:{port}" for host, port in owners}
    assert found[-1] == ok("Redis writes", "it takes them")


async def test_the_doctor_looks_at_the_primary_that_sentinels_name(
    sentinels: Sentinels, tmp_path: Path
) -> None:
    found = await doctored(sentinels.url, tmp_path)
    assert [each for each in found if each.level == "fail"] == []
    assert found[0].what.partition(" answers at ")[2].startswith("redis+sentinel://127.0.0.1:")
    assert found[-1] == ok("Redis writes", "it takes them")


async def test_an_owner_that_dies_is_waited_for_and_told_once(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """The last of these tests: the cluster is another one afterwards."""
    caplog.set_level(logging.INFO, logger="shared.redis_access")
    half_ms = market(800).entries[len(market(800).entries) // 2].boundary_ms
    half = {
        name: [each for each in candles if each.boundary_ms <= half_ms]
        for name, candles in market(800).fed.items()
    }
    async with access_to(cluster.url) as access:
        await access.client.flushall()
        async with computing(cluster.url), judging(cluster.url):
            await publish(access, half)
            await wait_until(lambda: access.client.exists(keys.cursor(SYMBOL)))
            (await cluster.owner(slot_of(f"{{{SYMBOL}}}".encode()))).kill()
            await publish(access, market(800).fed)
            await until_position(access.client, "detector", market(800).entries[-1].entry_id)
        assert await stored(access.client, keys.indicators(SYMBOL)) == market(800).indicators
        assert await signal_ids(access.client) == market(800).signals
    said = [one.getMessage() for one in caplog.records if one.name == "shared.redis_access"]
    assert any("has a node that cannot be reached, 127.0.0.1:" in one for one in said)
    per_worker = 3
    assert all(said.count(one) <= per_worker for one in said), said
