"""One alert on its way to those who miss it: judge, send, then record and acknowledge.

Whatever a peer answers ends in one of three ways for a recipient: it is served, it is written off
as a dead letter, or it stays pending for a later attempt.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from services.notifier.channels import (
    Broken,
    Channel,
    Recipient,
    Refused,
    TryAgain,
    Undelivered,
)
from services.notifier.decisions import Terms, Verdict, verdict
from services.notifier.endings import end_soon
from services.notifier.gate import Gate
from services.notifier.hold import Hold, now_ms
from services.notifier.inbox import Inbox
from services.notifier.limited import Limited
from services.notifier.limiter import Limiter
from services.notifier.mute import Mute
from services.notifier.outage import Outage
from services.notifier.results import Later, NotOurs, Result, then, unexpected, was_tried
from services.notifier.sources import Alert, Source
from services.notifier.write_offs import WriteOffs
from shared.candle import Fields
from shared.event import Event
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.log import Throttle
from shared.malformed import Malformed
from shared.steady import now_s

log = logging.getLogger(__name__)

# Recipients of one alert that are served at the same time.
TOGETHER = 4

# After SIGTERM a send in flight may still end; the process has five seconds for all its goodbyes.
GRACE_S = 2.5

# What a person who wants it tried once more knows.
_TOO_OLD = (Verdict.EXPIRED, Verdict.FORGOTTEN)

# Said of so much that nobody could read it.
_SILENT = (Verdict.RECORDED, Verdict.OTHER)


class Outcome(Enum):
    """What became of an entry."""

    DONE = "acknowledged"
    FAILED = "tried, and to be tried again"
    WAITS = "not tried yet"
    CLOSED = "not tried, since the channel cannot be used now"


class Courier:
    """Takes the alerts of one stream to the recipients of one channel."""

    def __init__(
        self,
        channel: Channel,
        source: Source,
        inbox: Inbox,
        gate: Gate,
        limiter: Limiter,
        *,
        terms: Terms,
        mute: Mute,
        late_after_s: float,
        heartbeat: Heartbeat,
        events: EventsWriter,
    ) -> None:
        """Take what is in ``inbox``, while ``gate`` is open, as much as ``limiter`` admits."""
        self._channel, self._source, self._inbox = channel, source, inbox
        self._gate, self._limiter = gate, limiter
        self._terms, self._mute, self._late_after_ms = terms, mute, late_after_s * 1000
        self._heartbeat, self._events = heartbeat, events
        self._counted = source.counted(channel.name)
        # An alert that was lost and found again has a second entry.
        self._on_the_way: set[tuple[str, str]] = set()
        # Why the last attempt failed, of entries that are pending.
        self._reasons: dict[bytes, str] = {}
        self._throttle = Throttle()
        self._write_offs = WriteOffs(
            channel, source, inbox, terms=terms, heartbeat=heartbeat, events=events
        )
        self.limited = Limited()
        self._missing: dict[bytes, frozenset[str]] = {}
        self.outage = Outage()

    # --- one entry

    async def carry(self, hold: Hold, fields: Fields, *, first: bool = False) -> Outcome:
        """Bring an entry as far as possible; what is ``first`` leaves a backlog to the others."""
        alert = await self._read(hold, fields)
        if alert is None:
            return Outcome.DONE
        missing = await self._inbox.missing(alert, self._channel.recipients)
        judged = verdict(alert, len(missing), now_ms=now_ms(), terms=self._terms)
        only_once = hold.revived and judged in _TOO_OLD
        if only_once:
            judged = Verdict.SEND
        if judged is Verdict.EXPIRED:
            await self._write_offs.give_up(
                hold,
                fields,
                alert,
                dict.fromkeys(missing, self._reasons.get(hold.entry_id)),
                attempts=hold.attempt - 1,  # the one it was taken for is not made
            )
            self._forget(hold.entry_id)
            return Outcome.DONE
        if judged is not Verdict.SEND:
            return await self._end(hold, alert, judged)
        if first and self._has_waited(alert):
            return await self._put_back(hold, Outcome.WAITS)
        if not hold.revived and await self._mute.holds_back(alert):
            return await self._end(hold, alert, Verdict.MUTED)
        return await self._serve(hold, fields, alert, missing, only_once=only_once)

    async def _end(self, hold: Hold, alert: Alert, judged: Verdict) -> Outcome:
        """Acknowledge what is not to be sent."""
        level = logging.DEBUG if judged in _SILENT else logging.INFO
        log.log(level, "%s: %s not sent: %s", self._channel.name, alert.id, judged.value)
        await self._inbox.acknowledge(hold.entry_id)
        self._forget(hold.entry_id)
        return Outcome.DONE

    def is_hopeless(self, entry_id: bytes) -> bool:
        """Whether all who miss the entry must wait for the rate limit."""
        everybody = frozenset(each.tag for each in self._channel.recipients)
        missing = self._missing.get(entry_id, everybody)
        return self.limited.holds_back(missing, time.monotonic())

    async def _read(self, hold: Hold, fields: Fields) -> Alert | None:
        """The alert of an entry; one that has none is acknowledged."""
        if not fields:
            await self._write_offs.trimmed(hold.entry_id)
        else:
            try:
                return self._source.read(hold.entry_id, fields)
            except Malformed as error:
                await self._write_offs.malformed(error)
        await self._inbox.acknowledge(hold.entry_id)
        self._forget(hold.entry_id)
        return None

    def _has_waited(self, alert: Alert) -> bool:
        """Whether it has been here so long that it belongs to a backlog."""
        return now_ms() - alert.received_at_ms > self._late_after_ms

    async def _serve(
        self,
        hold: Hold,
        fields: Fields,
        alert: Alert,
        missing: tuple[Recipient, ...],
        *,
        only_once: bool,
    ) -> Outcome:
        if not await self._gate.enter():
            return await self._put_back(hold, Outcome.CLOSED)
        results = await self._send_to_all(hold, fields, alert, missing)
        failed = any(isinstance(result, Undelivered) for result in results.values())
        outcome = Outcome.FAILED if failed else Outcome.WAITS
        if only_once:
            results = await self._bury_failed(hold, fields, alert, results)
        left = {each.tag: result for each, result in results.items() if result is not None}
        if not left:
            self._forget(hold.entry_id)
            return Outcome.FAILED if failed else Outcome.DONE
        self._missing[hold.entry_id] = frozenset(left)
        tried = any(not isinstance(result, Later) for result in results.values())
        again = hold.revived and not all(map(was_tried, left.values()))
        return await self._put_back(hold, outcome, tried=tried, revived=again)

    async def _bury_failed(
        self,
        hold: Hold,
        fields: Fields,
        alert: Alert,
        results: Mapping[Recipient, Result],
    ) -> Mapping[Recipient, Result]:
        """Give up those who had the one attempt that they get; what became of everybody."""
        failed = {
            each: result.reason
            for each, result in results.items()
            if isinstance(result, Undelivered) and was_tried(result)
        }
        if not hold.lasts(0):  # it may be another's by now, who tries it once more
            return results
        await self._write_offs.give_up(hold, fields, alert, failed, attempts=hold.attempt)
        return {each: None if each in failed else result for each, result in results.items()}

    async def _put_back(
        self, hold: Hold, outcome: Outcome, *, tried: bool = False, revived: bool | None = None
    ) -> Outcome:
        again = hold.revived if revived is None else revived
        attempts = hold.attempt if tried and not again else hold.attempt - 1
        # When the hold is over it may be another's by now.
        if hold.lasts(0) and not await self._inbox.put_back(hold.entry_id, attempts, revived=again):
            await self._write_offs.trimmed(hold.entry_id)
        return outcome

    def _forget(self, entry_id: bytes) -> None:
        self._reasons.pop(entry_id, None)
        self._missing.pop(entry_id, None)

    def keep_only(self, pending: set[bytes]) -> None:
        """Forget entries that others have ended."""
        for entry_id in (self._reasons.keys() | self._missing.keys()) - pending:
            self._forget(entry_id)

    # --- one recipient

    async def _send_to_all(
        self, hold: Hold, fields: Fields, alert: Alert, missing: tuple[Recipient, ...]
    ) -> Mapping[Recipient, Result]:
        """What became of each recipient."""
        turns = asyncio.Semaphore(TOGETHER)

        async def send(recipient: Recipient) -> Result:
            async with turns:
                return await self._send(hold, fields, alert, recipient)

        async with asyncio.TaskGroup() as group:
            tasks = {each: group.create_task(send(each)) for each in missing}
        return {each: task.result() for each, task in tasks.items()}

    async def _send(self, hold: Hold, fields: Fields, alert: Alert, recipient: Recipient) -> Result:
        way = (alert.id, recipient.tag)
        if way in self._on_the_way:
            return NotOurs("on its way", "another attempt is on its way")
        if self._inbox.remembers(alert, recipient):
            return None  # by an attempt that ended since the ledger was read
        self._on_the_way.add(way)
        try:
            return await self._send_once(hold, fields, alert, recipient)
        finally:
            self._on_the_way.discard(way)

    async def _send_once(
        self, hold: Hold, fields: Fields, alert: Alert, recipient: Recipient
    ) -> Result:
        wait_s = await self._limiter.admit(recipient)
        if wait_s > 0:
            self.limited.note(recipient.tag, time.monotonic() + wait_s)
            return Later(wait_s)
        failure = await self._try(hold, alert, recipient)
        if isinstance(failure, Refused):
            await self._write_offs.bury(hold, fields, alert, recipient, failure.reason)
            return None
        return failure

    async def _try(self, hold: Hold, alert: Alert, recipient: Recipient) -> Undelivered | None:
        try:
            await end_soon(self._deliver(hold, alert, recipient), GRACE_S)
        except Undelivered as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - whatever it is, the alert is tried again
            failure = unexpected(error)
        else:
            return None
        await self._note_failure(hold, alert, recipient, failure)
        return failure

    async def _deliver(self, hold: Hold, alert: Alert, recipient: Recipient) -> None:
        shown = await self._as_it_stands(alert)
        if not hold.lasts(self._channel.timeout_seconds):
            raise NotOurs("stood still", "this process stood still; another may be sending it")
        receipt = await self._channel.send(shown, recipient)
        at_ms = now_ms()
        took_ms = at_ms - alert.received_at_ms
        await self._inbox.settle(
            hold.entry_id,
            alert,
            recipient,
            self._channel.recipients,
            receipt=receipt,
            now_ms=at_ms,
        )
        name = self._channel.name
        log.info(
            "%s: %s delivered to %s, %d ms after %s, attempt %d%s",
            name, alert.id, recipient.tag, took_ms, self._source.since, hold.attempt,
            self._doubt(hold),
        )  # fmt: skip
        self.outage.worked(now_s(), was_broken=await self._gate.worked())
        self._heartbeat.took(f"{self._source.start}_to_{name}", took_ms)
        self._heartbeat.counters[f"delivered_{self._counted}"] += 1
        self.note("last_delivered", alert.id)
        self.note("last_delivered_at", str(at_ms))

    async def _as_it_stands(self, alert: Alert) -> Alert:
        """The alert; one that is late does not call for help against what is over.

        Its end may have gone before it, being fresh: this one is then the last that people read.
        """
        if not (isinstance(alert, Event) and alert.begun and self._has_waited(alert)):
            return alert
        return replace(alert, over=await self._events.is_over(alert.subject, alert.begun))

    def _doubt(self, hold: Hold) -> str:
        """Said of an alert that an earlier attempt, whose end nobody saw, may have brought too."""
        if hold.attempt == 1 or hold.entry_id in self._reasons:
            return ""
        return "; an earlier one was cut off, so it may be there twice"

    # --- when it does not work

    async def _note_failure(
        self, hold: Hold, alert: Alert, recipient: Recipient, failure: Undelivered
    ) -> None:
        name, attempt = self._channel.name, hold.attempt
        self._reasons[hold.entry_id] = failure.reason
        self._heartbeat.counters[f"failed_{self._counted}"] += 1
        self.note("last_failure", failure.reason)
        self.note("last_failure_at", str(now_ms()))
        more = self._throttle.admit(failure.kind, time.monotonic())
        if more is not None:
            log.log(
                logging.WARNING if isinstance(failure, TryAgain) else logging.ERROR,
                "%s: %s not delivered to %s at attempt %d: %s; %s%s",
                name, alert.id, recipient.tag, attempt, failure.reason, then(failure),
                f" ({more} more of this kind since the last such line)" if more else "",
            )  # fmt: skip
        await self._inbox.note_failure(failure.reason, now_ms())
        await self._tell_gate(failure)

    async def _tell_gate(self, failure: Undelivered) -> None:
        if isinstance(failure, Broken):
            await self._gate.break_(failure.reason)
        elif isinstance(failure, TryAgain):
            self.outage.failed()
            if failure.after_seconds is not None:
                await self._gate.pause(failure.after_seconds, failure.reason)

    def note(self, what: str, text: str) -> None:
        """Let the heartbeat say so of this channel and stream."""
        self._heartbeat.facts[f"{self._counted}_{what}"] = text
