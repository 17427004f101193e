"""``events``: what happened to the scanner itself, as it was told, newest first."""

import asyncio
import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis.asyncio import Redis

from cli.asking import ANSWER_S, answered
from cli.status.answers import Entries
from cli.words import WIDTH
from shared import keys
from shared.event import Event, read_event
from shared.log import Line
from shared.malformed import Malformed
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
    patience_s = ANSWER_S + min(count, settings.streams.events_maxlen) / 1000
    found = asyncio.run(
        answered(settings, lambda client: gather(client, settings, count), patience_s)
    )
    if as_json:
        print(json.dumps(document(found), indent=2))
    else:
        clean = Line("events", settings.secrets()).clean
        print("\n".join(clean(line) for line in text(found).split("\n")))
    return 0


async def gather(client: Redis, settings: Settings, count: int) -> list[Listed]:
    """The latest events, newest first."""
    clean = Line("events", settings.secrets()).clean
    entries = cast("Entries", await client.xrevrange(keys.EVENTS, count=count))
    found = []
    for entry_id, fields in entries:
        try:
            found.append(Listed(entry_id.decode(), read_event(entry_id, fields), ""))
        except Malformed as error:
            found.append(Listed(entry_id.decode(), None, clean(str(error))))
    return found


def text(found: Sequence[Listed]) -> str:
    """When, what, and who told it; the details below."""
    if not found:
        return _NOTHING
    return "\n".join(line for listed in found for line in _lines(listed))


def _lines(listed: Listed) -> Iterator[str]:
    event = listed.event
    if event is None:
        yield from textwrap.wrap(
            f"unreadable: {listed.malformed}", WIDTH, subsequent_indent=_INDENT
        )
        return
    by = f"({event.service} {event.instance}{'' if event.alert else ', not for sending'})"
    words = f"{utc(event.at_ms)}  {event.sentence} {by}"
    yield from textwrap.wrap(words, WIDTH, subsequent_indent=_INDENT, break_on_hyphens=False)
    details = ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in event.details.items())
    yield from textwrap.wrap(
        details, WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False
    )


_INDENT = " " * 25


def document(found: Sequence[Listed]) -> dict[str, Any]:
    """All of it as JSON types."""
    return {"events": [_entry(listed) for listed in found]}


def _entry(listed: Listed) -> dict[str, Any]:
    event = listed.event
    if event is None:
        return {"entry_id": listed.entry_id, "malformed": listed.malformed}
    return {
        "entry_id": listed.entry_id,
        "id": event.id,
        **{name: getattr(event, name) for name in _SHOWN},
        "details": dict(event.details),
    }


_SHOWN = (
    "sentence", "subject", "state", "service", "instance", "at_ms", "since_ms", "alert", "ends",
)  # fmt: skip
