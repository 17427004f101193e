"""Frames are read exactly or refused with a kind; nothing in between."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.ingest.frames import (
    BadFrame,
    KlineFrame,
    Reply,
    ShutdownNotice,
    number,
    read_frame,
)

INTERVALS = {"1m": 60_000, "5m": 300_000}
OPEN_MS = 1_762_094_040_000

KLINE = {
    "t": OPEN_MS, "T": OPEN_MS + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 9,
    "o": "65432.50", "c": "65450.00", "h": "65460.10", "l": "65400.00", "v": "12.5",
    "n": 9, "x": True, "q": "1", "V": "1", "Q": "1", "B": "0",
}  # fmt: skip


def event(sent_ms: object = OPEN_MS + 60_005, **changes: Any) -> dict[str, Any]:
    kline = {key: value for key, value in {**KLINE, **changes}.items() if value is not ...}
    return {"e": "kline", "E": sent_ms, "s": "BTCUSDT", "k": kline}


def read(message: object) -> KlineFrame | ShutdownNotice | Reply:
    return read_frame(json.dumps(message).encode(), "BTCUSDT", INTERVALS)


@pytest.mark.parametrize("wrapped", [True, False], ids=["combined", "raw"])
def test_a_closing_frame_is_read(wrapped: bool) -> None:
    message = {"stream": "btcusdt@kline_1m", "data": event()} if wrapped else event()
    assert read(message) == KlineFrame(
        "1m", OPEN_MS + 60_005, True, OPEN_MS, 65432.5, 65460.1, 65400.0, 65450.0, 12.5
    )


def test_a_candle_without_trades_closes_too() -> None:
    price = dict.fromkeys("ochl", "65432.50")
    frame = read(event(**price, v="0.00000000", n=0, f=-1, L=-1))
    assert isinstance(frame, KlineFrame)
    assert (frame.closed, frame.volume) == (True, 0.0)


def test_an_open_candle_only_tells_the_time() -> None:
    assert read(event(OPEN_MS + 7, x=False, o="nonsense")) == KlineFrame("1m", OPEN_MS + 7, False)


@pytest.mark.parametrize("wrapped", [True, False], ids=["combined", "raw"])
def test_a_shutdown_notice_has_no_symbol(wrapped: bool) -> None:
    notice = {"e": "serverShutdown", "E": 1770123456789}
    message = {"stream": "!serverShutdown", "data": notice} if wrapped else notice
    assert read(message) == ShutdownNotice(1770123456789)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"result": None, "id": 1}, ""),
        ({"result": None, "id": None}, ""),
        ({"result": ["btcusdt@kline_1m"], "id": "a"}, ""),
        ({"code": 2, "msg": "Invalid request: too many parameters", "id": 1}, "Invalid request"),
        ({"code": 3, "msg": ""}, "code 3"),
    ],
    ids=["done", "no id", "list", "refused", "no text"],
)
def test_control_replies_are_not_wrapped(message: object, error: str) -> None:
    reply = read(message)
    assert isinstance(reply, Reply)
    assert reply.error.startswith(error) if error else reply.error == ""


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"e":"kline"', "not JSON"),
        (b'{"e":"\xff"}', "not JSON"),
        (b"[" * 100_000, "unexpected form"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"[]", "unexpected form"),
        (b"null", "unexpected form"),
        (b"{}", "unexpected type"),
        (b'{"data":null}', "unexpected type"),
        (b'{"e":"trade","E":1762094100000,"s":"BTCUSDT"}', "unexpected type"),
        (b'{"e":"kline","E":1762094100000}', "unexpected type"),
        (json.dumps(event(k=None) | {"k": 7}).encode(), "unexpected form"),
    ],
)
def test_what_is_no_kline_message_is_refused(raw: bytes, kind: str) -> None:
    with pytest.raises(BadFrame) as refused:
        read_frame(raw, "BTCUSDT", INTERVALS)
    assert refused.value.kind == kind
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (event(s="ETHUSDT"), "foreign symbol"),
        (event(i="1M"), "foreign timeframe"),
        (event(i="15m"), "foreign timeframe"),
        (event(t=OPEN_MS + 1), "impossible candle"),
        (event(t=OPEN_MS, i="5m"), "impossible candle"),
        (event(t=0), "unexpected form"),
        (event(t=-60_000), "unexpected form"),
        (event(t=10**300), "unexpected form"),
        (event(t=str(OPEN_MS)), "unexpected form"),
        (event(10**300), "unexpected form"),
        (event(OPEN_MS * 1000), "unexpected form"),
        (event(-1), "unexpected form"),
        (event(OPEN_MS + 59_998), "impossible candle"),
        (event(x=1), "unexpected form"),
        (event(x=...), "unexpected form"),
        (event(c=...), "unexpected form"),
        (event(c=65450.0), "unexpected form"),
        (event(c=""), "impossible candle"),
        (event(c="NaN"), "impossible candle"),
        (event(h="Infinity"), "impossible candle"),
        (event(h="1e5"), "impossible candle"),
        (event(h="9" * 400), "impossible candle"),
        (event(c="65_450"), "impossible candle"),
        (event(c=" 65450"), "impossible candle"),
        (event(c="65450\n"), "impossible candle"),
        (event(c="6545\u0660"), "impossible candle"),
        (event(l="-1"), "impossible candle"),
        (event(l="0"), "impossible candle"),
        (event(h="65400", l="65460"), "impossible candle"),
        (event(c="65460.11"), "impossible candle"),
        (event(v="-0.1"), "impossible candle"),
    ],
)
def test_an_impossible_candle_is_refused(message: dict[str, Any], kind: str) -> None:
    with pytest.raises(BadFrame) as refused:
        read(message)
    assert refused.value.kind == kind


@pytest.mark.parametrize("text", ["0", "0.00000000", "-1", "65432.50", "9" * 30])
def test_decimals_are_read_as_python_reads_them(text: str) -> None:
    assert number(text) == float(text)


def test_all_recorded_frames_are_read(data: Path) -> None:
    lines = (data / "binance-kline-frames.jsonl").read_text().splitlines()
    closed = 0
    for line in lines:
        raw = json.loads(line)["raw"]
        theirs = json.loads(raw)["data"]["k"]
        frame = read_frame(raw.encode(), theirs["s"], INTERVALS)
        assert isinstance(frame, KlineFrame)
        assert (frame.timeframe, frame.closed) == (theirs["i"], theirs["x"])
        if frame.closed:
            closed += 1
            assert frame.close == float(theirs["c"])
        with pytest.raises(BadFrame) as refused:
            read_frame(raw.encode(), "BTCUSDC", INTERVALS)
        assert refused.value.kind == "foreign symbol"
        with pytest.raises(BadFrame) as refused:
            read_frame(raw.encode(), theirs["s"], {"5m": 300_000})
        assert refused.value.kind == "foreign timeframe"
    assert (len(lines), closed) == (132, 11)
