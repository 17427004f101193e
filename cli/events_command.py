"""``events``: what happened to the scanner itself, as it was told, newest first."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from cli.asking import answered
from cli.listing import INDENT, latest, patience_s, print_clean, unreadable, unreadable_document
from cli.words import wrapped
from shared import keys
from shared.event import Event, read_event
from shared.log import Line
from shared.settings import Settings
from shared.times import utc

_NOTHING = """\
No events yet: no feed was blind, no service down, and Redis lost nothing."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of the stream; ``event`` is None where it is ``malformed`` (why, in words)."""

    entry_id: str
    event: Event | None
    malformed: str


def run(settings: Settings, count: int, as_json: bool) -> int:
    """Print the latest ``count`` events, newest first."""
    most = min(count, settings.streams.events_maxlen)
    found = asyncio.run(
        answered(settings, lambda client: gather(client, settings, count), patience_s(most))
    )
    if as_json:
        print(json.dumps(document(found), indent=2))
    else:
        print_clean("events", settings, text(found))
    return 0


async def gather(client: Redis, settings: Settings, count: int) -> list[Listed]:
    """The latest events, newest first."""
    clean = Line("events", settings.secrets()).clean
    return [
        Listed(entry_id.decode(), None, known)
        if isinstance(known, str)
        else Listed(entry_id.decode(), known, "")
        for entry_id, known in await latest(client, keys.EVENTS, count, read_event, clean)
    ]


def text(found: Sequence[Listed]) -> str:
    """When, what, and who told it; the details below."""
    if not found:
        return _NOTHING
    return "\n".join(line for listed in found for line in _lines(listed))


def _lines(listed: Listed) -> Iterator[str]:
    event = listed.event
    if event is None:
        yield from unreadable(listed.malformed)
        return
    by = f"({event.service} {event.instance}{'' if event.alert else ', not for sending'})"
    words = f"{utc(event.at_ms)}  {event.sentence} {by}"
    yield from wrapped(words, "", INDENT)
    details = ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in event.details.items())
    yield from wrapped(details, INDENT, INDENT)


def document(found: Sequence[Listed]) -> dict[str, Any]:
    """All of it as JSON types."""
    return {"events": [_entry(listed) for listed in found]}


def _entry(listed: Listed) -> dict[str, Any]:
    event = listed.event
    if event is None:
        return unreadable_document(listed.entry_id, listed.malformed)
    return {
        "entry_id": listed.entry_id,
        "id": event.id,
        **{name: getattr(event, name) for name in _SHOWN},
        "details": dict(event.details),
    }


_SHOWN = (
    "sentence", "subject", "state", "service", "instance", "at_ms", "since_ms", "alert", "ends",
)  # fmt: skip
