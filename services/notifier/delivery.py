"""Alerts of one stream on their way to a channel's recipients: send, then record and acknowledge.

Two tasks share the work. *Fresh* takes what is new, in order. *Retry* takes what is pending: what
failed, what a previous life of this process left, what a dead consumer held. So a new alert never
waits for an old one. Attempts are counted by Redis (the delivery counter of the pending list); what
is kept here (which entry waits until when) only spares attempts and may be lost at any time.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

from services.notifier.channels import Channel, Recipient, Refused, TryAgain, Undelivered
from services.notifier.decisions import Patience, Pending, Verdict, due, verdict
from services.notifier.inbox import Entry, Inbox
from services.notifier.sources import Alert, Source
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.log import Throttle
from shared.malformed import Malformed
from shared.progress import ROUND_S, watched
from shared.redis_access import RedisAccess
from shared.runtime import finish
from shared.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

_BATCH = 10
_BLOCK_MS = 1000
_RETRY_POLL_S = 1.0

# A peer that is down is asked this often per round; the rest of the backlog need not try it too.
_FAILURES_PER_ROUND = 3

# Recipients of one alert that are served at the same time.
_AT_ONCE = 4

# Whoever edits one entry edits more; the log has them all.
_MALFORMED_QUIET_S = 300.0

# From the end of an attempt until Redis and we have noticed everything.
_CLAIM_MARGIN_S = 5.0
# From reading or claiming until the attempt begins, at most; later it is no more ours.
_BEGIN_WITHIN_S = 2.0

# After SIGTERM a send in flight may still end; the process has five seconds for all its goodbyes.
GRACE_S = 2.5
_LET_GO_S = 0.5


async def end_soon(step: Coroutine[None, None, T], grace_s: float) -> T:
    """Like ``runtime.finish``, but a step that hangs is let go ``grace_s`` after a cancellation."""
    task = asyncio.ensure_future(step)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await finish(_end(task, grace_s))
        raise


async def _end(task: asyncio.Future[T], grace_s: float) -> None:
    await asyncio.wait({task}, timeout=grace_s)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_LET_GO_S)
    if task.done() and not task.cancelled():
        task.exception()  # seen; the entry stays pending


def _now_ms() -> int:
    return int(time.time() * 1000)


# Where there is one, the clock that goes on while the machine is suspended.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _now_s() -> float:
    return time.clock_gettime(_STEADY)


@dataclass(frozen=True, slots=True)
class _Hold:
    """An entry that is ours for a while: then another may take it for that of a dead process.

    Attributes:
        attempt: 1 for the first.
        since_s: When it was asked for, by ``_now_s``.
    """

    entry_id: bytes
    attempt: int
    since_s: float


@dataclass(frozen=True, slots=True)
class Postman:
    """What all deliveries of one process share.

    Attributes:
        consumer: The name under which it reads, which no live process shares.
    """

    access: RedisAccess
    consumer: str
    settings: Settings
    heartbeat: Heartbeat
    events: EventsWriter


class Delivery:
    """Serves one channel from one stream until cancelled."""

    def __init__(self, postman: Postman, channel: Channel, source: Source) -> None:
        """Deliver by ``channel`` what comes from ``source``."""
        settings = postman.settings
        self._source, self._channel, self._consumer = source, channel, postman.consumer
        self._heartbeat, self._events = postman.heartbeat, postman.events
        self._counted = source.counted(channel.name)
        self._events_wanted = settings.notifier.events
        self._ledger_ttl_ms = int(settings.notifier.ledger_ttl_hours * 3_600_000)
        self._inbox = Inbox(
            postman.access,
            source,
            channel.name,
            postman.consumer,
            ledger_ttl_ms=self._ledger_ttl_ms,
            events=postman.events,
        )
        self._longest_attempt_s = channel.timeout_seconds * ceil(len(channel.recipients) / _AT_ONCE)
        self._patience = Patience(
            settings.notifier.retry_base_seconds,
            settings.notifier.retry_max_seconds,
            max(
                settings.notifier.claim_idle_seconds,
                _BEGIN_WITHIN_S + self._longest_attempt_s + _CLAIM_MARGIN_S,
            ),
        )
        self._in_hand: set[bytes] = set()
        # An alert that was lost and found again has a second entry.
        self._on_the_way: set[tuple[str, str]] = set()
        self._waits: dict[bytes, float] = {}
        self._throttle = Throttle()

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._inbox.create()
        async with asyncio.TaskGroup() as group:
            for work in (self._serve_fresh, self._serve_pending):
                name = f"{self._channel.name} {work.__name__.removeprefix('_serve_')}"
                group.create_task(watched(name, work, limit_s=ROUND_S + self._longest_attempt_s))

    async def _serve_fresh(self) -> None:
        while True:
            began_s = _now_s()
            entries = await self._inbox.read(_BATCH, _BLOCK_MS)
            if entries:
                self._heartbeat.data_seen()
                await self._serve_batch(entries, began_s)

    async def _serve_batch(self, entries: list[Entry], began_s: float) -> None:
        ids = {entry_id for entry_id, _ in entries} - self._in_hand
        self._in_hand |= ids
        try:
            for entry_id, fields in entries:
                hold = _Hold(entry_id, 1, began_s)
                if not self._is_ours_for(self._longest_attempt_s, hold):
                    return  # another consumer could soon take them: they go to the retry task
                if entry_id in ids:
                    await self._attempt(hold, fields)
                    self._in_hand.discard(entry_id)
        finally:
            self._in_hand -= ids

    def _is_ours_for(self, seconds: float, hold: _Hold) -> bool:
        """Whether nobody takes the entry for so long."""
        held_s = _now_s() - hold.since_s
        return held_s + seconds + _CLAIM_MARGIN_S <= self._patience.claim_idle_s

    async def _serve_pending(self) -> None:
        while True:
            await self._retry_round()
            await asyncio.sleep(_RETRY_POLL_S)

    async def _retry_round(self) -> None:
        """Try what is due; the oldest first, and not all of it at a peer that is down."""
        failures, after = 0, None
        seen: set[bytes] = set()
        while page := await self._inbox.pending(after):
            seen |= {entry.entry_id for entry in page}
            after = page[-1].entry_id
            for entry in due(
                page,
                consumer=self._consumer,
                in_hand=self._in_hand,
                waits=self._waits,
                now_s=time.monotonic(),
                patience=self._patience,
            ):
                failures += not await self._retry(entry)
                if failures >= _FAILURES_PER_ROUND:
                    return
        self._waits = {known: at for known, at in self._waits.items() if known in seen}
        self._note("pending", str(len(seen)))

    async def _retry(self, seen: Pending) -> bool:
        began_s = _now_s()
        claimed = await self._inbox.claim(seen)
        if claimed is None or seen.entry_id in self._in_hand:
            return True
        self._in_hand.add(seen.entry_id)
        try:
            entry_id, fields = claimed
            return await self._attempt(_Hold(entry_id, seen.attempts + 1, began_s), fields)
        finally:
            self._in_hand.discard(seen.entry_id)

    async def _attempt(self, hold: _Hold, fields: dict[bytes, bytes]) -> bool:
        """Bring an entry as far as possible; False if a recipient is still missing."""
        entry_id = hold.entry_id
        if not fields:
            log.warning("%s: entry %s was trimmed before it was delivered",
                        self._channel.name, entry_id.decode())  # fmt: skip
            await self._inbox.acknowledge(entry_id)
            return True
        try:
            alert = self._source.read(entry_id, fields)
        except Malformed as error:
            await self._note_malformed(error)
            await self._inbox.acknowledge(entry_id)
            return True
        missing = await self._inbox.missing(alert, self._channel.recipients)
        judged = self._judge(alert, missing)
        if judged is not Verdict.SEND:
            level = logging.DEBUG if judged is Verdict.RECORDED else logging.INFO
            log.log(level, "%s: %s not sent: %s", self._channel.name, alert.id, judged.value)
            await self._inbox.acknowledge(entry_id)
            return True
        failures = await self._send_to_all(hold, alert, missing)
        if not failures:
            self._waits.pop(entry_id, None)
            return True
        self._waits[entry_id] = time.monotonic() + self._wait_s(failures, hold.attempt)
        return False

    def _judge(self, alert: Alert, missing: tuple[Recipient, ...]) -> Verdict:
        return verdict(
            alert,
            len(missing),
            now_ms=_now_ms(),
            ledger_ttl_ms=self._ledger_ttl_ms,
            events=self._events_wanted,
        )

    async def _note_malformed(self, error: Malformed) -> None:
        log.error("%s: not delivered, never will be: %s", self._channel.name, error)
        await self._events.once(
            self._source.stream.partition(":")[0],
            "malformed",
            f"{error}; it is not delivered, and never will be",
            quiet_s=_MALFORMED_QUIET_S,
        )

    async def _send_to_all(
        self, hold: _Hold, alert: Alert, missing: tuple[Recipient, ...]
    ) -> list[Undelivered]:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def send(recipient: Recipient) -> Undelivered | None:
            async with gate:
                return await self._send(hold, alert, recipient)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(send(recipient)) for recipient in missing]
        return [failure for task in tasks if (failure := task.result()) is not None]

    async def _send(self, hold: _Hold, alert: Alert, recipient: Recipient) -> Undelivered | None:
        way = (alert.id, recipient.tag)
        if way in self._on_the_way:
            return TryAgain("on its way", "another attempt is on its way")
        self._on_the_way.add(way)
        try:
            return await self._try(hold, alert, recipient)
        finally:
            self._on_the_way.discard(way)

    async def _try(self, hold: _Hold, alert: Alert, recipient: Recipient) -> Undelivered | None:
        try:
            await end_soon(self._deliver(hold, alert, recipient), GRACE_S)
        except Undelivered as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the alert is tried again
            failure = _unexpected(error)
        else:
            return None
        await self._note_failure(alert, recipient, failure, hold.attempt)
        return failure

    async def _deliver(self, hold: _Hold, alert: Alert, recipient: Recipient) -> None:
        if not self._is_ours_for(self._channel.timeout_seconds, hold):
            raise TryAgain("stood still", "this process stood still; another may be sending it")
        receipt = await self._channel.send(alert, recipient)
        now_ms = _now_ms()
        took_ms = now_ms - alert.received_at_ms
        await self._inbox.settle(
            hold.entry_id,
            alert,
            recipient,
            self._channel.recipients,
            message_id=receipt.message_id,
            now_ms=now_ms,
        )
        name = self._channel.name
        log.info(
            "%s: %s delivered to %s, %d ms after %s, attempt %d",
            name, alert.id, recipient.tag, took_ms, self._source.since, hold.attempt,
        )  # fmt: skip
        self._heartbeat.took(f"{self._source.start}_to_{name}", took_ms)
        self._heartbeat.counters[f"delivered_{self._counted}"] += 1
        self._note("last_delivered", alert.id)
        self._note("last_delivered_at", str(now_ms))

    async def _note_failure(
        self, alert: Alert, recipient: Recipient, failure: Undelivered, attempt: int
    ) -> None:
        name, now_ms = self._channel.name, _now_ms()
        self._heartbeat.counters[f"failed_{self._counted}"] += 1
        self._note("last_failure", failure.reason)
        self._note("last_failure_at", str(now_ms))
        more = self._throttle.admit(failure.kind, time.monotonic())
        if more is not None:
            log.log(
                logging.ERROR if isinstance(failure, Refused) else logging.WARNING,
                "%s: %s not delivered to %s at attempt %d: %s; trying again in %.0f s%s",
                name, alert.id, recipient.tag, attempt, failure.reason,
                self._wait_s([failure], attempt),
                f" ({more} more of this kind since the last such line)" if more else "",
            )  # fmt: skip
        await self._inbox.note_failure(failure.reason, now_ms)

    def _wait_s(self, failures: list[Undelivered], attempt: int) -> float:
        """Until the entry is tried again: the shortest that suits one of its recipients."""
        waits = []
        for failure in failures:
            wait_s = self._patience.backoff_s(attempt)
            if isinstance(failure, Refused):
                wait_s = self._patience.max_s
            elif isinstance(failure, TryAgain) and failure.after_seconds is not None:
                wait_s = max(wait_s, failure.after_seconds)
            waits.append(wait_s)
        return min(waits)

    def _note(self, what: str, text: str) -> None:
        self._heartbeat.facts[f"{self._counted}_{what}"] = text


def _unexpected(error: Exception) -> TryAgain:
    """Its text stays out of the log: a library's words may hold a secret; type and place do not."""
    trace, name = error.__traceback__, type(error).__name__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else "?"
    return TryAgain(f"unexpected {name} {where}", f"an error nobody expected, {name} at {where}")
