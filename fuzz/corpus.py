"""What mutations start from: inputs as the project itself or the simulated exchange writes them.

Frames recorded from the real exchange are used where they lie beside the project; they are never
part of it.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from fuzz.forms import write_entry
from services.detector.__main__ import rules_of
from services.detector.rules import evaluate
from services.indicators import snapshot
from services.indicators.__main__ import plan_of
from services.indicators.engine import Engine
from shared.candle import Candle, missing_candle
from shared.event import Event
from shared.indicators_entry import IndicatorsEntry
from shared.market import market_of
from shared.settings import Settings
from shared.trade_signal import Side, example_signal
from sim import frames, garbage
from sim.market import generate
from sim.tape import Kline, Tape

ROOT = Path(__file__).parents[1]
RECORDED = ROOT.parent / "shared" / "data" / "binance-kline-frames.jsonl"

MARKET = market_of("BTC/USDT")
PLAN, RULES = plan_of(Settings()), rules_of(Settings())
INTERVALS = dict(PLAN.intervals)
START_MS = 1_735_516_800_000  # 2024-12-30 00:00 UTC
_DAYS = 3


@cache
def _tape() -> Tape:
    return Tape(generate(7, _DAYS, START_MS))


def klines(timeframe: str) -> list[Kline]:
    """All candles of the market that everything here is made of."""
    return _tape().series(timeframe).rows(0, _DAYS * 1440)


def candles(timeframe: str) -> list[Candle]:
    """The same as ingest publishes them."""
    interval_ms = INTERVALS[timeframe]
    return [
        Candle(
            each.open_ms + interval_ms, each.open, each.high, each.low, each.close, each.volume,
            "ws", 40, each.open_ms + interval_ms + 40,
        )
        for each in klines(timeframe)
    ]  # fmt: skip


@cache
def _computed() -> tuple[Engine, tuple[IndicatorsEntry, ...]]:
    """An engine behind the whole market, and what it said."""
    engine = Engine(PLAN)
    for timeframe in INTERVALS:
        engine.feed(timeframe, candles(timeframe))
    return engine, tuple(engine.release(_DAYS * 2000))


def ws_frames() -> list[bytes]:
    """Open and closing candles, every kind of garbage, and control messages."""
    made = [
        '{"result":null,"id":1}',
        '{"code":2,"msg":"Invalid request: unknown variant"}',
        '{"e":"serverShutdown","E":1770123456789}',
    ]
    for timeframe, interval_ms in INTERVALS.items():
        for kline in klines(timeframe)[-2:]:
            for closed in (False, True):
                event = frames.kline_event(
                    MARKET.symbol, timeframe, kline.open_ms + interval_ms, kline, closed=closed
                )
                made += [event, frames.combined(f"btcusdt@kline_{timeframe}", event)]
    spoilt = [garbage.garbage(kind, made[-2])[0] for kind in garbage.KINDS]
    raw = [each if isinstance(each, bytes) else each.encode() for each in (*made, *spoilt)]
    return [*raw, *_recorded()]


def _recorded() -> Iterator[bytes]:
    """Recorded frames, renamed as if they were of the market asked for."""
    if not RECORDED.is_file():
        return
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        frame = json.loads(line)["raw"]
        kline = json.loads(frame).get("data", {}).get("k", {})
        yield frame.replace(kline.get("s", MARKET.symbol), MARKET.symbol).encode()


def pages() -> list[bytes]:
    """REST pages of klines."""
    made = [frames.kline_page(klines(name)[-length:]) for name in ("1m", "5m") for length in (1, 6)]
    return [b"[]", *made]


def markets() -> list[bytes]:
    """Answers of ``exchangeInfo``."""
    symbol = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "stepSize": "0.00001000"},
        ],
    }
    other = symbol | {"symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC"}
    return [
        json.dumps({"timezone": "UTC", "symbols": each}).encode() for each in ([], [symbol, other])
    ]


def server_times() -> list[bytes]:
    """Answers of ``time``."""
    return [b'{"serverTime":1735776000000}']


def candle_entries() -> list[bytes]:
    """Entries of ``klines`` streams."""
    made = [*candles("1m")[-3:], missing_candle(START_MS + 60_000, 12, START_MS)]
    return [write_entry(f"{each.boundary_ms}-0", each.fields()) for each in made]


def indicators_entries() -> list[bytes]:
    """Entries of the ``indicators`` stream: some warming up, the last ones, and crossovers."""
    entries = _computed()[1]
    crossing = [each for each in entries if evaluate(each, RULES, MARKET, 0) is not None]
    made = (*entries[:3], *entries[-6:], *crossing)
    return [write_entry(each.entry_id, each.fields()) for each in made]


def signal_entries() -> list[bytes]:
    """Entries of ``signals``."""
    made = [example_signal(), example_signal(side=Side.SHORT, stale=True)]
    found = (evaluate(each, RULES, MARKET, 0) for each in _computed()[1])
    made += [each for each in found if each is not None][:4]
    return [write_entry("1762094100040-0", each.fields()) for each in made]


def event_entries() -> list[bytes]:
    """Entries of ``events``."""
    told = Event("feed BLIND", "feed:BTCUSDT", "blind", "ingest", "1", START_MS, True, START_MS - 9)
    over = replace(told, state="recovered", ends=True, details={"candles": "730", "by_rest": "7"})
    return [write_entry("1762094100040-0", each.fields()) for each in (told, over)]


def market_hashes() -> list[bytes]:
    """The hash ``market``."""
    flat = [text for pair in MARKET.fields().items() for text in pair]
    return [write_entry("0-0", flat)]


def configurations() -> list[bytes]:
    """The example, all defaults written out, and a minimum."""
    example = (ROOT / "config.example.json").read_bytes()
    return [example, json.dumps(Settings().revealed()).encode(), b"{}"]


def snapshots() -> list[bytes]:
    """An engine's state before the first candle, while it warms up, and later."""
    made = [snapshot.pack(Engine(PLAN)), snapshot.pack(_computed()[0])]
    for count in (7, 500):
        engine = Engine(PLAN)
        for timeframe in INTERVALS:
            engine.feed(timeframe, candles(timeframe)[:count])
        engine.release(count)
        made.append(snapshot.pack(engine))
    return made
