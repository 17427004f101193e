"""The engine's state as msgpack, and back; whatever does not fit is refused, never trusted."""

from typing import Any

import msgpack

from services.indicators.engine import Engine, Plan
from shared.malformed import Malformed

# A snapshot holds some hundred numbers per timeframe; anything larger was not written by us.
_MAX_BYTES = 1_000_000


def pack(engine: Engine) -> bytes:
    """The snapshot of ``engine``."""
    packed: bytes = msgpack.packb(engine.state())
    return packed


def unpack(plan: Plan, packed: bytes) -> Engine:
    """The engine whose snapshot this is.

    Raises:
        Malformed: It is not msgpack, of another format or other parameters, or damaged.
    """
    if len(packed) > _MAX_BYTES:
        raise Malformed(f"snapshot of {len(packed)} bytes")
    try:
        state: Any = msgpack.unpackb(packed)
    except (ValueError, TypeError) as error:
        raise Malformed(f"snapshot is not msgpack: {error}") from None
    if not isinstance(state, dict):
        raise Malformed("snapshot is not a map")
    return Engine.restored(plan, state)
