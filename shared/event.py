"""What happened to the scanner itself: a trouble that stands, an event that is told. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.candle import Fields
from shared.decimals import whole
from shared.malformed import Malformed
from shared.times import utc


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


# The states that last until another event ends them.
_BEGINNINGS = frozenset(("blind", "broken", "down", "skewed"))


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
        ends: Whether this is the end of a trouble.
        over: Whether the trouble that it tells of had ended when it was sent; no part of the entry.
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
    ends: bool = False
    over: bool = False

    @property
    def begun(self) -> Trouble | None:
        """The trouble whose beginning this is; None of an end, and of what has none."""
        began = not self.ends and self.state in _BEGINNINGS
        return Trouble(self.state, self.since_ms) if began else None

    @property
    def id(self) -> str:
        """The same for the same edge, whoever tells it: ``feed:BTCUSDT:blind:<since ms>``."""
        return f"{self.subject}:{self.state}:{self.since_ms}"

    @property
    def received_at_ms(self) -> int:
        """From when its age counts; the same name as that of a signal."""
        return self.at_ms

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
            "ends", str(int(self.ends)),
        ]  # fmt: skip
        return flat + [text for pair in self.details.items() for text in pair]


# Of a text in characters; Telegram takes 4,096 UTF-16 units.
LONGEST = 1000
# Event IDs become mail headers and names of keys.
_ID = re.compile(r"[!-~]{1,200}")

_OWN = frozenset(
    (b"event", b"subject", b"state", b"service", b"instance", b"at", b"since", b"alert", b"ends")
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
        event = Event(
            sentence=fields[b"event"].decode(),
            subject=fields[b"subject"].decode(),
            state=fields[b"state"].decode(),
            service=fields[b"service"].decode(),
            instance=fields[b"instance"].decode(),
            at_ms=whole(fields[b"at"]),
            alert=fields[b"alert"] == b"1",
            since_ms=whole(fields[b"since"]),
            details=details,
            ends=fields.get(b"ends") == b"1",
        )
        _require_shown(event)
    except KeyError as error:
        raise Malformed(f"events entry {entry_id!r} has no field {error}") from None
    except (ValueError, OverflowError) as error:
        raise Malformed(f"events entry {entry_id!r}: {error}") from None
    return event


def shown(text: str) -> str:
    """The text as an event may hold it: on one line, and no longer than a message may be."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _require_shown(event: Event) -> None:
    """Let what cannot be shown fail here, not in a message."""
    texts = (event.sentence, event.service, event.instance, *event.details, *event.details.values())
    if any(shown(text) != text for text in texts) or sum(map(len, texts)) > 2 * LONGEST:
        raise ValueError("a text is too long for a message, or of more than a line")
    if not _ID.fullmatch(event.id):
        raise ValueError(f"its subject and state give no usable ID ({event.id!r:.300})")
    _ = utc(event.at_ms), utc(event.since_ms)
