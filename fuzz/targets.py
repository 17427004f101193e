"""The readers under test. Each takes bytes and says whether they were accepted.

A reader may refuse with its own error and nothing else. What it accepts must be usable by whoever
comes next: a candle can be computed with, a signal can be shown. ``Broken``, or any other error, is
a finding.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from fuzz import corpus
from fuzz.corpus import INTERVALS, MARKET, PLAN, RULES
from fuzz.forms import ENTRY, JSON, MSGPACK, Form, read_entry
from services.detector.rules import evaluate
from services.detector.worker import board
from services.indicators import snapshot
from services.indicators.engine import Engine
from services.ingest.frames import BadFrame, KlineFrame, read_frame
from services.ingest.pages import near_misses, read_markets, read_page, read_server_time
from services.notifier.channels.email_channel import build_mail
from services.notifier.message import Periods
from services.notifier.sources import Alert
from services.notifier.wording import Wording
from shared.candle import Candle, read_candle
from shared.config_errors import ConfigError
from shared.configuration import load_settings
from shared.entry_id import order
from shared.event import read_event
from shared.indicators_entry import read_indicators
from shared.malformed import Malformed
from shared.market import read_market
from shared.times import utc
from shared.trade_signal import example_signal, read_signal
from sim.entities import parsed

_NOW_MS = 1_762_094_200_000
_TELEGRAM_MOST = 4096
_WORDING = Wording(Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6), "BTC")
_LAST_MS = 10**14  # no time in ms is later


class Broken(AssertionError):
    """What was accepted cannot be used."""


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


# --- the exchange -----------------------------------------------------------------------------


def frame(raw: bytes) -> bool:
    """A WebSocket frame; a closed candle can be published and read back."""
    try:
        found = read_frame(raw, MARKET.symbol, INTERVALS)
    except BadFrame:
        return False
    if isinstance(found, KlineFrame) and found.closed:
        _usable(
            Candle(
                found.open_ms + INTERVALS[found.timeframe],
                found.open, found.high, found.low, found.close, found.volume, "ws", 0, _NOW_MS,
            )
        )  # fmt: skip
    return True


def page(raw: bytes) -> bool:
    """A REST page; its rows are in order, and each can be published."""
    try:
        found = read_page(raw, 60_000, corpus.START_MS, corpus.START_MS + 10**10)
    except Malformed:
        return False
    times = [row.open_ms for row in found.rows]
    _must(times == sorted(set(times)), "rows are not in order")
    for row in found.rows:
        prices = row.open, row.high, row.low, row.close, row.volume
        _usable(Candle(row.open_ms + 60_000, *prices, "rest", 0, _NOW_MS))
    return True


def markets(raw: bytes) -> bool:
    """What the exchange says of its markets; a misspelt name finds its neighbours."""
    try:
        found = read_markets(raw)
    except Malformed:
        return False
    near_misses("BTX/USDT", found)
    return True


def server_time(raw: bytes) -> bool:
    """The exchange's time."""
    try:
        found = read_server_time(raw)
    except Malformed:
        return False
    _must(0 < found < _LAST_MS and bool(utc(found)), "a time that nobody can show")
    return True


# --- Redis ------------------------------------------------------------------------------------


def candle(raw: bytes) -> bool:
    """An entry of ``klines``; an engine can compute with it."""
    try:
        found = read_candle(*read_entry(raw))
    except Malformed:
        return False
    _usable(found)
    return True


def _usable(found: Candle) -> None:
    """It reads back as itself, and indicators computed with it can be written."""
    flat = [text.encode() for text in found.fields()]
    fields = dict(zip(flat[::2], flat[1::2], strict=True))
    _must(read_candle(b"%d-0" % found.boundary_ms, fields) == found, "it reads back as another")
    utc(found.boundary_ms)
    engine = _warm()
    for timeframe in INTERVALS:
        engine.feed(timeframe, [found])
    for entry in engine.release(len(INTERVALS)):
        entry.fields()


@cache
def _warm_snapshot() -> bytes:
    return corpus.snapshots()[1]


def _warm() -> Engine:
    """An engine for which every indicator is defined."""
    return snapshot.unpack(PLAN, _warm_snapshot())


def indicators(raw: bytes) -> bool:
    """An entry of ``indicators``; it can be judged, and shown on the board."""
    try:
        found = read_indicators(*read_entry(raw))
    except Malformed:
        return False
    found.fields()
    board(found, RULES)
    given = evaluate(found, RULES, MARKET, _NOW_MS)
    if given is not None:
        flat = [text.encode() for text in given.fields()]
        again = read_signal(b"1-0", dict(zip(flat[::2], flat[1::2], strict=True)))
        _must(again == given, "its signal reads back as another")
        _shown(given)
    return True


def signal(raw: bytes) -> bool:
    """An entry of ``signals``; every channel can say it."""
    try:
        found = read_signal(*read_entry(raw))
    except Malformed:
        return False
    found.fields()
    _shown(found)
    return True


def event(raw: bytes) -> bool:
    """An entry of ``events``; every channel can say it."""
    try:
        found = read_event(*read_entry(raw))
    except Malformed:
        return False
    found.fields()
    _shown(found)
    return True


def _shown(found: Alert) -> None:
    message = _WORDING.telegram(found, _NOW_MS)
    text = message.plain
    _must(parsed(message.html) == text, "markup that Telegram reads otherwise")
    _must(0 < len(text.encode("utf-16-le")) // 2 <= _TELEGRAM_MOST, "too long for a message")
    _must(all(line.isprintable() for line in text.split("\n")), "control characters in a message")
    build_mail(
        found,
        _WORDING,
        from_email="scanner@example.com",
        to_email="you@example.com",
        now=datetime.fromtimestamp(_NOW_MS / 1000, UTC),
    ).as_bytes()


def market(raw: bytes) -> bool:
    """The hash ``market``; signals can be shown with it."""
    try:
        found = read_market(read_entry(raw)[1], MARKET)
    except Malformed:
        return False
    given = example_signal(market=found)
    flat = [text.encode() for text in given.fields()]
    _must(read_signal(b"1-0", dict(zip(flat[::2], flat[1::2], strict=True))) == given, "another")
    _shown(given)
    return True


def state(raw: bytes) -> bool:
    """A snapshot; the engine goes on with it, and its own snapshot is accepted again."""
    try:
        engine = snapshot.unpack(PLAN, raw)
    except Malformed:
        return False
    before = order(engine.position)
    candles = {timeframe: corpus.candles(timeframe) for timeframe in INTERVALS}
    for timeframe, known in candles.items():
        fed_ms = engine.fed(timeframe)
        _must(fed_ms is None or fed_ms < _LAST_MS, "it waits for a candle that never comes")
        engine.feed(timeframe, [each for each in known if each.boundary_ms > (fed_ms or 0)][:60])
    for entry in engine.release(200):
        entry.fields()
    if order(engine.position) > before:  # nothing else is ever committed
        again = snapshot.unpack(PLAN, snapshot.pack(engine))
        _must(again.position == engine.position, "it continues elsewhere")
    return True


# --- a person ---------------------------------------------------------------------------------


def configuration(raw: bytes) -> bool:
    """A configuration file; it can be shown, and what is wrong can be said."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(raw)
        file.flush()
        try:
            found = load_settings(Path(file.name), {})
        except ConfigError as error:
            _must(bool(error.faults) and bool(str(error).encode()), "refused without a word")
            return False
    json.dumps(found.masked())
    json.dumps(found.revealed())
    return True


@dataclass(frozen=True, slots=True)
class Target:
    """One reader: its name, the form of its input, what to start from, and the reader itself."""

    name: str
    form: Form
    corpus: Callable[[], Sequence[bytes]]
    read: Callable[[bytes], bool]


TARGETS = {
    target.name: target
    for target in (
        Target("frame", JSON, corpus.ws_frames, frame),
        Target("page", JSON, corpus.pages, page),
        Target("markets", JSON, corpus.markets, markets),
        Target("server-time", JSON, corpus.server_times, server_time),
        Target("candle", ENTRY, corpus.candle_entries, candle),
        Target("indicators", ENTRY, corpus.indicators_entries, indicators),
        Target("signal", ENTRY, corpus.signal_entries, signal),
        Target("event", ENTRY, corpus.event_entries, event),
        Target("market", ENTRY, corpus.market_hashes, market),
        Target("state", MSGPACK, corpus.snapshots, state),
        Target("configuration", JSON, corpus.configurations, configuration),
    )
}
