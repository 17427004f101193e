"""Deliveries that are given up: a dead letter, a line in the log, an event for people."""

import logging
from collections.abc import Mapping

from services.notifier.channels import Channel, Recipient
from services.notifier.dead_letter import DeadLetter
from services.notifier.decisions import Terms, channel_subject
from services.notifier.hold import Hold, now_ms
from services.notifier.inbox import Inbox
from services.notifier.sources import Alert, Source
from shared.candle import Fields
from shared.event import Event
from shared.events import EventsWriter
from shared.health import Heartbeat
from shared.malformed import Malformed

log = logging.getLogger(__name__)

# Whoever edits one entry edits more; the log has them all.
_MALFORMED_QUIET_S = 300.0
# Where one is trimmed, many are.
_TRIMMED_QUIET_S = 300.0
# Of dead letters, people hear of the first and find the others in the stream.
_DEAD_QUIET_S = 300.0


class WriteOffs:
    """Writes off what one channel cannot deliver of one stream."""

    def __init__(
        self,
        channel: Channel,
        source: Source,
        inbox: Inbox,
        *,
        terms: Terms,
        heartbeat: Heartbeat,
        events: EventsWriter,
    ) -> None:
        """Nothing is written before it is asked for."""
        self._channel, self._source, self._inbox = channel, source, inbox
        self._terms, self._heartbeat, self._events = terms, heartbeat, events

    async def give_up(
        self,
        hold: Hold,
        fields: Fields,
        alert: Alert,
        missing: Mapping[Recipient, str | None],
        *,
        attempts: int,
    ) -> None:
        """Write off an alert that is too old, after so many attempts.

        ``missing`` has why the last one failed, of each recipient.
        """
        old = f"older than {self._terms.give_up_ms / 3_600_000:g} h"
        for recipient, last in missing.items():
            why = f"{old}; the last attempt: {last}" if last else old
            await self.bury(hold, fields, alert, recipient, why, attempts=attempts)

    async def bury(
        self,
        hold: Hold,
        fields: Fields,
        alert: Alert,
        recipient: Recipient,
        reason: str,
        *,
        attempts: int | None = None,
    ) -> None:
        """Write the alert off for one recipient, after all attempts including the present one."""
        name = self._channel.name
        letter = DeadLetter(
            channel=name,
            alert_id=alert.id,
            stream=self._source.stream,
            entry_id=hold.entry_id,
            recipient=recipient.tag,
            reason=reason,
            attempts=hold.attempt if attempts is None else attempts,
            at_ms=now_ms(),
            alert=fields,
        )
        if not await self._inbox.bury(letter, alert, recipient, self._channel.recipients):
            return
        self._heartbeat.counters[f"dead_{self._source.counted(name)}"] += 1
        log.error("%s: dead letter: %s", name, letter.sentence)
        if isinstance(alert, Event):
            return  # to tell of what could not be told would not end
        await self._events.once(
            channel_subject(name),
            "dead",
            f"{letter.sentence}; see ./btc-scanner dead list {name}",
            quiet_s=_DEAD_QUIET_S,
        )

    async def trimmed(self, entry_id: bytes) -> None:
        """Tell of an entry that the stream does not keep any more: nobody knows what it said."""
        noun, kind = self._source.noun, self._source.stream.partition(":")[0]
        lost = (
            f"{self._channel.name} had not delivered the {noun} {entry_id.decode()} to everybody,"
            f" and its stream does not keep it any more: whoever misses it does not get it;"
            f" streams.{kind}_maxlen is how many are kept"
        )
        log.error("%s", lost)
        await self._events.once(kind, "trimmed", lost, quiet_s=_TRIMMED_QUIET_S)

    async def malformed(self, error: Malformed) -> None:
        """Tell of an entry that is no alert."""
        log.error("%s: not delivered, never will be: %s", self._channel.name, error)
        await self._events.once(
            self._source.stream.partition(":")[0],
            "malformed",
            f"{error}; it is not delivered, and never will be",
            quiet_s=_MALFORMED_QUIET_S,
        )
