"""Reads the exchange's WebSocket frames.

Pure. Only a frame with ``x: true`` tells of a closed candle. Control replies are not wrapped in the
combined envelope, and a shutdown notice has no symbol. Source: Binance spot API, WebSocket streams.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from shared.candle import flaw
from shared.times import LATEST_MS

_Time = Annotated[int, msgspec.Meta(gt=0, lt=LATEST_MS)]


class BadFrame(ValueError):
    """A frame that cannot be used.

    Attributes:
        kind: One of a few fixed words, for counting and for logging once per kind.
        what: The particulars.
    """

    def __init__(self, kind: str, what: str) -> None:
        """Of ``kind``, with the particulars in ``what``."""
        super().__init__(f"{kind}: {what}")
        self.kind, self.what = kind, what


@dataclass(frozen=True, slots=True)
class KlineFrame:
    """One kline event; prices and volume are read only when the candle is closed.

    Attributes:
        event_ms: The exchange's clock when it sent the frame.
        open_ms: Open time of the candle.
    """

    timeframe: str
    event_ms: int
    closed: bool
    open_ms: int = 0
    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0


@dataclass(frozen=True, slots=True)
class ShutdownNotice:
    """The server is about to close the connection, in no promised time."""

    event_ms: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a control message; ``error`` is empty when it went well."""

    error: str


class _Kline(msgspec.Struct):
    t: _Time
    s: str
    i: str
    o: str
    h: str
    l: str  # noqa: E741 - the exchange's name
    c: str
    v: str
    x: bool


class _Event(msgspec.Struct):
    e: str
    E: _Time
    k: _Kline | None = None


class _Message(msgspec.Struct):
    """Every kind of message in one schema, so that one pass parses and checks it."""

    data: _Event | None = None
    e: str = ""
    E: _Time | None = None
    k: _Kline | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: int | None = None
    msg: str = ""


_decoder = msgspec.json.Decoder(_Message)


# Python would read more than that as a float: "1_0", " 1", "nan", and digits of other scripts.
_DECIMAL = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?")


def number(text: str) -> float:
    """A decimal as the exchange writes it.

    Raises:
        ValueError: Anything else.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"not a decimal: {text[:40]!r}")
    return float(text)


def read_frame(
    raw: bytes | str, symbol: str, intervals: Mapping[str, int]
) -> KlineFrame | ShutdownNotice | Reply:
    """What a frame says.

    Args:
        raw: The frame as received.
        symbol: The only market asked for, ``BTCUSDT``.
        intervals: The timeframes asked for, with their interval in ms.

    Raises:
        BadFrame: Not JSON, of another type, of a market or timeframe not asked for, impossible.
    """
    try:
        message = _decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise BadFrame("unexpected form", str(error)) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadFrame("not JSON", str(error)) from None
    event = message if message.data is None else message.data
    if event.E is not None:
        if event.e == "kline" and event.k is not None:
            return _kline(event.k, event.E, symbol, intervals)
        if event.e == "serverShutdown":
            return ShutdownNotice(event.E)
    if message.code is not None:
        return Reply(message.msg or f"code {message.code}")
    if message.result is not msgspec.UNSET:
        return Reply("")
    raise BadFrame("unexpected type", f"event {event.e[:40]!r}")


def _kline(kline: _Kline, event_ms: int, symbol: str, intervals: Mapping[str, int]) -> KlineFrame:
    if kline.s != symbol:
        raise BadFrame("foreign symbol", f"{kline.s[:40]!r}, asked for {symbol}")
    interval_ms = intervals.get(kline.i)
    if interval_ms is None:
        raise BadFrame("foreign timeframe", repr(kline.i[:40]))
    if kline.t % interval_ms:
        raise BadFrame("impossible candle", f"open time {kline.t} is not a multiple of {kline.i}")
    if not kline.x:
        return KlineFrame(kline.i, event_ms, closed=False)
    if event_ms < kline.t + interval_ms - 1:
        raise BadFrame("impossible candle", f"{kline.i} of {kline.t} closed at {event_ms}")
    try:
        prices = (number(kline.o), number(kline.h), number(kline.l), number(kline.c))
        volume = number(kline.v)
    except ValueError as error:
        raise BadFrame("impossible candle", str(error)) from None
    if (wrong := flaw(*prices, volume)) is not None:
        raise BadFrame("impossible candle", f"{kline.i} of {kline.t}: {wrong}")
    return KlineFrame(kline.i, event_ms, True, kline.t, *prices, volume)
