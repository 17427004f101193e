"""Operational events: told once per edge, into ``events:{signals}``, from where alerts are sent.

A *trouble* has a beginning and an end (the feed is blind, a service is down); what stands now is in
the hash ``troubles:{signals}``, so that of many processes that see it one tells, and a restarted
one knows what was told. What has no end (Redis lost data) is told once in a while at most.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared import keys
from shared.candle import Fields
from shared.malformed import Malformed
from shared.redis_access import RedisAccess
from shared.settings import Streams

_SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True, slots=True)
class Trouble:
    """A trouble that has begun and not ended.

    Attributes:
        state: One word: ``blind``, ``down``, ``skewed``.
        since_ms: When it began, ms UTC: market time for a feed, our clock otherwise.
    """

    state: str
    since_ms: int

    @property
    def text(self) -> str:
        """As the hash holds it."""
        return f"{self.state} {self.since_ms}"


# The script that tells edges knows the same form.
_TROUBLE = re.compile(r"([a-z]+) ([0-9]{1,16})")


def read_trouble(text: bytes | str | None) -> Trouble | None:
    """The trouble of a field of ``troubles:{signals}``; None if there is none, or it is spoilt."""
    shown = text.decode(errors="replace") if isinstance(text, bytes) else text or ""
    found = _TROUBLE.fullmatch(shown)
    return Trouble(found[1], int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the scanner itself.

    Attributes:
        sentence: For people; the first field of the stream entry.
        subject: What it is about: ``feed:BTCUSDT``, ``service:detector``, ``redis``.
        state: One word: ``blind``, ``recovered``, ``down``, ``up``, ``lost``.
        at_ms: Our clock when it was told, ms UTC.
        alert: Whether it is worth a message to the recipients.
        since_ms: Of a trouble, when it began; otherwise ``at_ms``.
        details: Numbers behind the sentence, by name.
    """

    sentence: str
    subject: str
    state: str
    service: str
    instance: str
    at_ms: int
    alert: bool
    since_ms: int
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same edge, whoever tells it: ``feed:BTCUSDT:blind:<since ms>``."""
        return f"{self.subject}:{self.state}:{self.since_ms}"

    def fields(self) -> list[str]:
        """Flat field, value, ... as the stream entry holds them; the sentence comes first."""
        flat = [
            "event", self.sentence,
            "subject", self.subject,
            "state", self.state,
            "service", self.service,
            "instance", self.instance,
            "at", str(self.at_ms),
            "since", str(self.since_ms),
            "alert", str(int(self.alert)),
        ]  # fmt: skip
        return flat + [text for pair in self.details.items() for text in pair]


_OWN = frozenset(
    (b"event", b"subject", b"state", b"service", b"instance", b"at", b"since", b"alert")
)


def read_event(entry_id: bytes, fields: Fields) -> Event:
    """Decode an entry of the ``events:{signals}`` stream.

    Raises:
        Malformed: A field is absent or does not fit (somebody edited the stream).
    """
    try:
        details = {
            name.decode(): text.decode() for name, text in fields.items() if name not in _OWN
        }
        return Event(
            sentence=fields[b"event"].decode(),
            subject=fields[b"subject"].decode(),
            state=fields[b"state"].decode(),
            service=fields[b"service"].decode(),
            instance=fields[b"instance"].decode(),
            at_ms=int(fields[b"at"]),
            alert=fields[b"alert"] == b"1",
            since_ms=int(fields[b"since"]),
            details=details,
        )
    except KeyError as error:
        raise Malformed(f"events entry {entry_id!r} has no field {error}") from None
    except ValueError as error:
        raise Malformed(f"events entry {entry_id!r}: {error}") from None


class EventsWriter:
    """Tells events on behalf of one process."""

    def __init__(self, access: RedisAccess, service: str, instance: str, settings: Streams) -> None:
        """Tell as ``service`` ``instance``."""
        self._access, self._service, self._instance = access, service, instance
        self._maxlen = str(settings.events_maxlen)
        self._edge = access.script((_SCRIPTS / "edge.lua").read_text())
        self._once = access.script((_SCRIPTS / "once.lua").read_text())

    async def trouble(self, subject: str) -> Trouble | None:
        """What stands about ``subject`` now, whoever told it."""
        return read_trouble(await self._access.field(keys.TROUBLES, subject))

    async def begin(
        self,
        subject: str,
        trouble: Trouble,
        sentence: str,
        *,
        details: Mapping[str, str] | None = None,
    ) -> bool:
        """Tell that ``trouble`` began, unless one stands; whether it was told now."""
        event = self._event(
            subject, trouble.state, sentence, since_ms=trouble.since_ms, details=details
        )
        return await self._tell_edge("", trouble.text, event)

    async def end(
        self,
        subject: str,
        trouble: Trouble,
        state: str,
        sentence: str,
        *,
        details: Mapping[str, str] | None = None,
    ) -> bool:
        """Tell that ``trouble`` ended in ``state``, if just it stands; whether it was told now."""
        event = self._event(subject, state, sentence, since_ms=trouble.since_ms, details=details)
        return await self._tell_edge(trouble.text, "", event)

    async def once(
        self,
        subject: str,
        state: str,
        sentence: str,
        *,
        quiet_s: float,
        alert: bool = True,
        details: Mapping[str, str] | None = None,
    ) -> bool:
        """Tell it, unless the same subject and state were told within ``quiet_s``."""
        event = self._event(subject, state, sentence, alert=alert, details=details)
        written = [keys.EVENTS, keys.told(subject, state)]
        arguments = [str(round(quiet_s * 1000)), self._maxlen, *event.fields()]
        reply = await self._access.patiently(lambda: self._once(keys=written, args=arguments))
        return bool(reply[0] == b"told")

    async def _tell_edge(self, before: str, after: str, event: Event) -> bool:
        written = [keys.EVENTS, keys.TROUBLES]
        arguments = [event.subject, before, after, self._maxlen, *event.fields()]
        reply = await self._access.patiently(lambda: self._edge(keys=written, args=arguments))
        return bool(reply[0] == b"told")

    def _event(
        self,
        subject: str,
        state: str,
        sentence: str,
        *,
        since_ms: int | None = None,
        alert: bool = True,
        details: Mapping[str, str] | None,
    ) -> Event:
        now_ms = int(time.time() * 1000)
        return Event(
            sentence=sentence,
            subject=subject,
            state=state,
            service=self._service,
            instance=self._instance,
            at_ms=now_ms,
            alert=alert,
            since_ms=now_ms if since_ms is None else since_ms,
            details=details or {},
        )
