"""What the lists of signals, events and dead letters have in common: a stream, newest first.

Strangers may have written there: what cannot be read is listed too, and says why.
"""

import textwrap
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from redis.asyncio import Redis

from cli.asking import ANSWER_S
from cli.words import WIDTH
from shared.candle import Fields
from shared.log import Line
from shared.malformed import Malformed
from shared.settings import Settings

T = TypeVar("T")

# Under the time of an entry.
INDENT = " " * 25


def patience_s(count: int) -> float:
    """How long so many entries may take."""
    return ANSWER_S + count / 1000


async def latest(
    client: Redis,
    stream: str,
    count: int,
    read: Callable[[bytes, Fields], T],
    clean: Callable[[str], str],
) -> list[tuple[bytes, T | str]]:
    """The latest entries, newest first; in place of what ``read`` refuses, why, in words."""
    entries = cast(
        "list[tuple[bytes, dict[bytes, bytes]]]", await client.xrevrange(stream, count=count)
    )
    found: list[tuple[bytes, T | str]] = []
    for entry_id, fields in entries:
        try:
            found.append((entry_id, read(entry_id, fields)))
        except Malformed as error:
            found.append((entry_id, clean(str(error))))
    return found


def unreadable(why: str) -> Iterable[str]:
    """The lines of an entry that cannot be read."""
    return textwrap.wrap(f"unreadable: {why}", WIDTH, subsequent_indent=INDENT)


def unreadable_document(entry_id: str, why: str) -> dict[str, str]:
    """The same as JSON types."""
    return {"entry_id": entry_id, "malformed": why}


def print_clean(name: str, settings: Settings, text: str) -> None:
    """Print lines, without secrets and control characters."""
    clean = Line(name, settings.secrets()).clean
    print("\n".join(clean(line) for line in text.split("\n")))
