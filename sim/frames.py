"""Binance's wire format: klines as WebSocket frames and as REST rows.

Decimals are strings with eight places, and the close time is inclusive (open + interval - 1 ms).
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim.tape import TAKER_SHARE, Kline, Series

# Rendered at once: enough to pay for the conversion to lists, little enough to forget.
CHUNK = 1024


def stream_name(symbol: str, interval: str) -> str:
    """``btcusdt@kline_1m``"""
    return f"{symbol.lower()}@kline_{interval}"


def kline_event(symbol: str, interval: str, event_ms: int, kline: Kline, *, closed: bool) -> str:
    """The bare kline event, as a raw stream carries it."""
    k = kline
    return (
        f'{{"e":"kline","E":{event_ms},"s":"{symbol}","k":{{"t":{k.open_ms},"T":{k.close_ms},'
        f'"s":"{symbol}","i":"{interval}","f":{k.first},"L":{k.last},'
        f'"o":"{k.open:.8f}","c":"{k.close:.8f}","h":"{k.high:.8f}","l":"{k.low:.8f}",'
        f'"v":"{k.volume:.8f}","n":{k.trades},"x":{"true" if closed else "false"},'
        f'"q":"{k.quote:.8f}","V":"{k.volume * TAKER_SHARE:.8f}",'
        f'"Q":"{k.quote * TAKER_SHARE:.8f}","B":"0"}}}}'
    )


def combined(stream: str, event: str) -> str:
    """An event in the envelope of a combined stream."""
    return f'{{"stream":"{stream}","data":{event}}}'


def kline_row(kline: Kline) -> str:
    """The 12-element array of REST, as JSON."""
    k = kline
    return (
        f'[{k.open_ms},"{k.open:.8f}","{k.high:.8f}","{k.low:.8f}","{k.close:.8f}",'
        f'"{k.volume:.8f}",{k.close_ms},"{k.quote:.8f}",{k.trades},'
        f'"{k.volume * TAKER_SHARE:.8f}","{k.quote * TAKER_SHARE:.8f}","0"]'
    )


def kline_page(klines: Sequence[Kline]) -> bytes:
    """A REST page."""
    return f"[{','.join(map(kline_row, klines))}]".encode()


def text_frame(text: str) -> bytes:
    """A complete, unmasked WebSocket text frame (RFC 6455 section 5.2), ready for the socket."""
    return _frame(0x81, text.encode())


def binary_frame(payload: bytes) -> bytes:
    """The same for bytes that are no text."""
    return _frame(0x82, payload)


def _frame(head: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((head, length)) + payload
    if length < 65536:
        return struct.pack("!BBH", head, 126, length) + payload
    return struct.pack("!BBQ", head, 127, length) + payload


class Closings:
    """The closing frames of one series, rendered a chunk at a time when first wanted.

    Args:
        event_ms: shape [n], the time at which each closing frame is sent.
    """

    def __init__(self, symbol: str, series: Series, event_ms: NDArray[np.int64]) -> None:
        self._symbol = symbol
        self._series = series
        self._event_ms = event_ms
        self._stream = stream_name(symbol, series.interval)
        self._chunk = -1
        self._events: list[str] = []
        self._raw: list[bytes] = []
        self._combined: list[bytes] = []

    def event(self, index: int) -> str:
        """The bare event that closes candle ``index``."""
        chunk, offset = divmod(index, CHUNK)
        if chunk != self._chunk:
            self._render(chunk)
        return self._events[offset]

    def frame(self, index: int, *, wrapped: bool) -> bytes:
        """The WebSocket frame that closes candle ``index``."""
        chunk, offset = divmod(index, CHUNK)
        if chunk != self._chunk:
            self._render(chunk)
        if wrapped:
            if not self._combined:
                self._combined = [text_frame(combined(self._stream, e)) for e in self._events]
            return self._combined[offset]
        if not self._raw:
            self._raw = [text_frame(event) for event in self._events]
        return self._raw[offset]

    def _render(self, chunk: int) -> None:
        start, stop = chunk * CHUNK, (chunk + 1) * CHUNK
        times = self._event_ms[start:stop].tolist()
        rows = self._series.rows(start, stop)
        interval = self._series.interval
        self._events = [
            kline_event(self._symbol, interval, at, row, closed=True)
            for at, row in zip(times, rows, strict=True)
        ]
        self._raw = []
        self._combined = []
        self._chunk = chunk
