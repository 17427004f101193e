"""What a person did to a key so that no service can go on, and how to undo it, in words.

The services never delete such a key themselves: something else may be meant to be there, and what
is in a stream may be wanted. They wait, and go on by themselves once it is gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis

from shared import keys

_WRONG_TYPE = "WRONGTYPE"
# XADD: a deleted entry has left its ID behind; or the last possible ID is taken.
_NO_ID_LEFT = ("The ID specified in XADD is equal or smaller", "The stream has exhausted")


@dataclass(frozen=True, slots=True)
class Damage:
    """An answer of the server that means that one of ``named``, keys of ours, was edited."""

    said: str
    named: Sequence[str]

    async def explain(self, client: Redis) -> str | None:
        """Which key it is, and how to mend it; None if none of them is damaged by now."""
        if self.said.startswith(_WRONG_TYPE):
            found = [await _wrong_type(client, key) for key in self.named]
        else:
            streams = [key for key in self.named if keys.type_of(key) == "stream"]
            found = [await _end(client, key) for key in streams]
        return "; ".join(filter(None, found)) or None


def damage_in(said: str, *commands: str) -> Damage | None:
    """What ``said`` means as damage to the keys in ``commands``; None if it is no such thing."""
    if not said.startswith((_WRONG_TYPE, *_NO_ID_LEFT)):
        return None
    named = keys.named_in(" ".join(commands))
    return Damage(said, named) if named else None


async def _wrong_type(client: Redis, key: str) -> str:
    there, wanted = cast("bytes", await client.type(key)).decode(), keys.type_of(key)
    if there in (wanted, "none"):
        return ""
    return f"holds a {there}, not a {wanted}, as {key}: {delete(key)}"


async def _end(client: Redis, key: str) -> str:
    told = await client.xinfo_stream(key)
    last = cast("bytes", told["last-generated-id"]).decode()
    return f"takes no entry after {last} in {key}, where none so late belongs: {delete(key)}"


def delete(key: str) -> str:
    """How to be rid of a key, for a person.

    Also of a stream with one entry that is in the way: after XDEL it still refuses all IDs before
    that, and XSETID, which would allow them, refuses too on newer servers. What the stream held is
    brought or computed again.
    """
    return f"delete it (DEL {key}), and it is filled again"
