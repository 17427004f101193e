"""Alerts of one stream by one channel: which entry is tried when.

Two tasks share the work. *Fresh* takes what is new, in order. *Pending* takes what is not done:
what failed, what a previous life of this process left, what a dead consumer held; the newest first,
since an old signal is worth the least. A new alert never waits for an old one, and one that is late
already when it is read is left to the second task, so that a backlog keeps nothing waiting either.
All state is in Redis: attempts are counted by the pending list, and waiting by its idle times.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from math import ceil, inf

from services.notifier.channels import Channel
from services.notifier.courier import TOGETHER, Courier, Outcome
from services.notifier.decisions import REVIVED, Patience, Pending, Terms, due, recorded_ms
from services.notifier.gate import Gate
from services.notifier.hold import CLAIM_MARGIN_S, Hold, now_ms
from services.notifier.inbox import Entry, Inbox
from services.notifier.limiter import Limiter, limiter_of
from services.notifier.mute import Mute
from services.notifier.one_by_one import OneByOne
from services.notifier.server_clock import ServerClock
from services.notifier.sources import Source
from services.notifier.waits import Waits
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.progress import ROUND_S, watched
from shared.redis_access import LONGEST_PAUSE_S, RedisAccess
from shared.redis_client import COMMAND_TIMEOUT_S
from shared.settings import Settings
from shared.steady import now_s

_BLOCK_MS = 1000
_POLL_S = 1.0

# Attempts begin one after the other, unless a peer takes its time: then several at once.
_TURN_S = 0.25
_AT_ONCE = 4

# A peer that is down is asked this often per round; the rest of the backlog need not try it too.
_FAILURES_PER_ROUND = 3
# After this long a round looks again for what is newer.
_ROUND_S = 1.0

# From reading or claiming until the attempt begins, at most; later it is no more ours.
_BEGIN_WITHIN_S = 2.0

# After an outage of Redis, everybody has recorded within this time what a peer accepted meanwhile:
# a try that hangs, a pause, and a try that succeeds.
CALM_S = COMMAND_TIMEOUT_S + LONGEST_PAUSE_S + 1.0


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

    def gate(self, channel: str) -> Gate:
        """A gate for the deliveries of a channel."""
        probe_s = self.settings.notifier.retry_max_seconds
        return Gate(self.access, self.events, channel, probe_s=probe_s)

    def limiter(self, channel: str) -> Limiter:
        """What keeps to the limits of a channel's peer."""
        return limiter_of(channel, self.access, self.settings)

    def terms(self, channel: str) -> Terms:
        """What the recipients of a channel are promised."""
        notifier = self.settings.notifier
        return Terms(
            channel,
            give_up_ms=int(notifier.give_up_after_hours * 3_600_000),
            ledger_ttl_ms=int(notifier.ledger_ttl_hours * 3_600_000),
            events=notifier.events,
        )


class _Round:
    """One pass through what is due, shared by the tasks that work it off.

    Attributes:
        cut_short: Whether it ended for the time it took, with more to be tried.
    """

    def __init__(self, queue: list[Pending]) -> None:
        self._queue = iter(queue)
        self._ends_s = time.monotonic() + _ROUND_S
        self._failures = 0
        self._closed = False
        self.cut_short = False

    def __iter__(self) -> Iterator[Pending]:
        for entry in self._queue:
            if self._closed or self._failures >= _FAILURES_PER_ROUND:
                return
            if time.monotonic() >= self._ends_s:
                self.cut_short = True
                return
            yield entry

    def note(self, outcome: Outcome) -> None:
        """What became of an entry."""
        self._failures += outcome is Outcome.FAILED
        self._closed |= outcome is Outcome.CLOSED


class Delivery:
    """Serves one channel from one stream until cancelled."""

    def __init__(
        self, postman: Postman, channel: Channel, source: Source, gate: Gate, limiter: Limiter
    ) -> None:
        """Deliver what comes from ``source``; all replicas share ``gate`` and ``limiter``."""
        notifier, terms = postman.settings.notifier, postman.terms(channel.name)
        self._consumer, self._heartbeat, self._gate = postman.consumer, postman.heartbeat, gate
        self._answering = postman.access.answering
        self._name = source.counted(channel.name).replace("_", " ")
        self._give_up_ms = terms.give_up_ms
        self._late_after_ms = round(notifier.late_after_seconds * 1000)
        self._inbox = Inbox(
            postman.access,
            source,
            channel.name,
            postman.consumer,
            ledger_ttl_ms=terms.ledger_ttl_ms,
            dead_maxlen=postman.settings.streams.dead_maxlen,
            events=postman.events,
        )
        self._courier = Courier(
            channel,
            source,
            self._inbox,
            gate,
            limiter,
            terms=terms,
            mute=Mute(postman.access, postman.settings),
            late_after_s=notifier.late_after_seconds,
            heartbeat=postman.heartbeat,
            events=postman.events,
        )
        self._longest_attempt_s = channel.timeout_seconds * ceil(len(channel.recipients) / TOGETHER)
        self._patience = Patience(
            notifier.retry_base_seconds,
            notifier.retry_max_seconds,
            max(
                notifier.claim_idle_seconds,
                _BEGIN_WITHIN_S + self._longest_attempt_s + CLAIM_MARGIN_S,
            ),
        )
        self._waits = Waits(postman.consumer)
        self._server_clock = ServerClock(self._patience.claim_idle_s)
        self._poll_s = min(_POLL_S, notifier.retry_base_seconds)
        self._began_s = now_s()
        self._in_hand: set[bytes] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._inbox.create()
        async with asyncio.TaskGroup() as group:
            limit_s = ROUND_S + self._longest_attempt_s
            for name, work in (
                ("fresh", partial(self._serve_fresh, group)),
                ("pending", self._serve_pending),
            ):
                group.create_task(watched(f"{self._name} {name}", work, limit_s=limit_s))

    # --- what is new

    async def _serve_fresh(self, group: asyncio.TaskGroup) -> None:
        steps = OneByOne(_AT_ONCE, _TURN_S)
        while True:
            await steps.free()
            began_s = now_s()
            for entry in await self._inbox.read(1, _BLOCK_MS):
                self._heartbeat.data_seen()
                if entry[0] in self._in_hand:
                    continue  # Redis gave it to us long before we heard of it: it is being served
                hold = self._hold(entry[0], 1, began_s)
                self._in_hand.add(hold.entry_id)
                await steps.begin(group, self._carry_fresh(hold, entry))

    async def _carry_fresh(self, hold: Hold, entry: Entry) -> None:
        try:
            if hold.lasts(self._longest_attempt_s):  # else it is soon taken: not ours any more
                outcome = await self._courier.carry(hold, entry[1], first=True)
                if outcome is Outcome.WAITS:
                    self._wake.set()
        finally:
            self._put_down(hold.entry_id)

    def _hold(
        self, entry_id: bytes, attempt: int, since_s: float, *, revived: bool = False
    ) -> Hold:
        until_s = since_s + self._patience.claim_idle_s
        return Hold(entry_id, attempt, until_s, revived)

    # --- what is not done

    async def _serve_pending(self) -> None:
        while True:
            self._wake.clear()
            pause_s = 0.0 if await self._round() else self._poll_s
            limited_s = self._courier.limited.wait_s(time.monotonic())
            if limited_s is not None:
                pause_s = min(self._poll_s, limited_s)
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _round(self) -> bool:
        """Try what is due, but not all of it at a peer that is down; True if more is to be tried.

        The newest comes first, so a round is short: then it looks for what is newer.
        """
        pending = await self._inbox.pending()
        self._server_clock.saw(*await self._inbox.server_clock())
        self._courier.keep_only({entry.entry_id for entry in pending})
        self._courier.note("pending", str(len(pending)))
        queue = await self._queue(pending)
        tour, steps = _Round(queue), OneByOne(_AT_ONCE, _TURN_S)
        async with asyncio.TaskGroup() as group:
            for entry in tour:
                if not self._courier.is_hopeless(entry.entry_id):
                    await steps.begin(group, self._work_off(entry, tour))
        return tour.cut_short

    async def _queue(self, pending: list[Pending]) -> list[Pending]:
        over_s = self._courier.outage.over_s
        queue = due(
            pending,
            consumer=self._consumer,
            in_hand=self._in_hand,
            patience=self._patience,
            since_start_s=now_s() - self._began_s,
            since_recovery_s=None if over_s is None else now_s() - over_s,
            fresh_since_ms=now_ms() - self._late_after_ms,
            doubt_s=self._doubt_s(),
            waited_s=self._waits.look(pending, now_s()),
        )
        queue = [entry for entry in queue if not self._courier.is_hopeless(entry.entry_id)]
        if queue and await self._gate.closed_s() > 0:
            too_old_ms = now_ms() - self._give_up_ms
            return [
                entry
                for entry in queue
                if recorded_ms(entry.entry_id) < too_old_ms and entry.consumer != REVIVED
            ]
        return queue

    def _doubt_s(self) -> float:
        """How much of the idle times of others may mean nothing: all, soon after an outage."""
        calm = self._answering.for_s(now_s()) >= CALM_S
        return self._server_clock.set_forward_s if calm else inf

    async def _work_off(self, entry: Pending, tour: _Round) -> None:
        tour.note(await self._retry(entry))

    async def _retry(self, seen: Pending) -> Outcome:
        began_s = now_s()
        if seen.entry_id in self._in_hand:
            return Outcome.DONE
        self._in_hand.add(seen.entry_id)
        try:
            claimed = await self._inbox.claim(seen)
            if claimed is None:
                return Outcome.DONE
            entry_id, fields = claimed
            revived = seen.consumer == REVIVED
            hold = self._hold(entry_id, seen.attempts + 1, began_s, revived=revived)
            return await self._courier.carry(hold, fields)
        finally:
            self._put_down(seen.entry_id)

    def _put_down(self, entry_id: bytes) -> None:
        self._in_hand.discard(entry_id)
        self._waits.begin_anew(entry_id)
