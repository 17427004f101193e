"""Frames that no exchange should send, by name; pure.

Most are made of a true closing frame that breaks in one place. The candle is the one in progress:
whoever believes such a frame has a wrong candle, and that can be seen.
"""

import json
from collections.abc import Callable
from typing import Any

MINUTE_MS = 60_000

Event = dict[str, Any]


def _with(**changes: Any) -> Callable[[Event], str]:
    """The event with other values in its kline."""
    return lambda event: json.dumps(event | {"k": event["k"] | changes})


def _without(name: str) -> Callable[[Event], str]:
    return lambda event: json.dumps(
        event | {"k": {key: value for key, value in event["k"].items() if key != name}}
    )


def _moved(name: str, by_ms: int) -> Callable[[Event], str]:
    return lambda event: _with(**{name: event["k"][name] + by_ms})(event)


def _scaled(name: str, like: str, factor: float) -> Callable[[Event], str]:
    """The event with value ``name`` set to a multiple of value ``like``."""
    return lambda event: _with(**{name: f"{float(event['k'][like]) * factor:.8f}"})(event)


def _foreign(event: Event) -> str:
    return json.dumps(event | {"s": "ETHUSDT", "k": event["k"] | {"s": "ETHUSDT"}})


# Events: wrapped for those who get their events wrapped.
EVENTS: dict[str, Callable[[Event], str]] = {
    "close is not a number": _with(c="NaN"),
    "close is infinite": _with(c="Infinity"),
    "close is null": _with(c=None),
    "close is text": _with(c="much"),
    "close is a list": _with(c=["1"]),
    "close is empty": _with(c=""),
    "close is missing": _without("c"),
    "close is beyond any float": _with(c="1e999"),
    "close is above the high": _scaled("c", "h", 1.5),
    "bare NaN": lambda event: _with(c="@")(event).replace('"@"', "NaN"),
    "negative price": _scaled("l", "l", -1),
    "negative volume": _with(v="-1.00000000"),
    "price of nothing": _with(o="0", h="0", l="0", c="0"),
    "high below low": _scaled("h", "l", 0.5),
    "time is text": _with(t="now"),
    "time is huge": _with(t=10**30),
    "time is a fraction": _with(t=1.5),
    "time is missing": _without("t"),
    "time off the grid": _moved("t", 1234),
    "span of two": _moved("T", MINUTE_MS),
    "closed is text": _with(x="true"),
    "closed is missing": _without("x"),
    "foreign symbol": _foreign,
    "foreign interval": _with(i="3d"),
    "no kline": lambda event: json.dumps(event | {"k": None}),
    "kline is a list": lambda event: json.dumps(event | {"k": [1, 2]}),
    "unknown event": lambda event: json.dumps({"e": "moonPhase", "E": event["E"], "s": event["s"]}),
}

# Messages: the same for everybody.
MESSAGES: dict[str, str | bytes] = {
    "not json": '{"e":"kline","E":17',
    "nothing": "",
    "a number": "42",
    "null": "null",
    "a list": "[1,2,3]",
    "text": '"kline"',
    "empty object": "{}",
    "envelope of nothing": '{"stream":"btcusdt@kline_1m","data":null}',
    "envelope of text": '{"stream":42,"data":"x"}',
    "deep": "[" * 5000,
    "html": "<html><body>502 Bad Gateway</body></html>",
    "binary": b"\x00\xff\x80\x01",
}

KINDS = (*EVENTS, *MESSAGES)


def garbage(kind: str, true_event: str) -> tuple[str | bytes, bool]:
    """A broken frame, and whether it is an event (to be wrapped where events are).

    Args:
        kind: one of ``KINDS``.
        true_event: the bare event of a closing frame.

    Raises:
        ValueError: there is no such kind.
    """
    if kind in EVENTS:
        return EVENTS[kind](json.loads(true_event)), True
    if kind in MESSAGES:
        return MESSAGES[kind], False
    raise ValueError(f"no garbage is called {kind!r}; there is {', '.join(KINDS)}")
