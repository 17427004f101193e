"""A heartbeat in one line, for ``systemctl status``."""

from collections.abc import Iterator, Mapping

from shared.times import utc

_CANDLE, _LAG, _DELIVERED, _FAILED = "last_", "lag_ms_", "count_delivered_", "count_failed_"
# Facts that begin like candles and are none.
_UNITS = "mhdw"


def status_line(beat: Mapping[str, str]) -> str:
    """What a person wants to know first: the state, then what it did last.

    Args:
        beat: Flat text as ``Heartbeat.fields`` gives it; whatever is absent is left out.
    """
    parts = [beat.get("state", ""), *_candles(beat), beat.get("connection", "")]
    parts += [*_signals(beat), *_deliveries(beat), *_errors(beat)]
    return "; ".join(part for part in parts if part)


def _candles(beat: Mapping[str, str]) -> Iterator[str]:
    """``last 1m candle 14:35:00, 12 ms late``, the shortest timeframe first."""
    names = [name.removeprefix(_CANDLE) for name in beat if name.startswith(_CANDLE)]
    timeframes = [name for name in names if name[:-1].isdecimal() and name[-1] in _UNITS]
    for name in sorted(timeframes, key=lambda name: (_UNITS.index(name[-1]), int(name[:-1]))):
        closed = beat[_CANDLE + name]
        if closed.isdecimal():
            lag = beat.get(_LAG + name)
            yield f"last {name} candle {_clock(closed)}" + (f", {lag} ms late" if lag else "")
    position = beat.get("position", "").partition("-")[0]
    if position.isdecimal() and not timeframes:
        yield f"last candle {_clock(position)}"


def _signals(beat: Mapping[str, str]) -> Iterator[str]:
    if beat.get("service") == "detector":
        yield f"{_many(beat.get('count_signals', '0'), 'signal')} since {_since(beat)}"


def _deliveries(beat: Mapping[str, str]) -> Iterator[str]:
    channels = beat.get("channels", "").split()
    for channel in channels:
        said = [f"{channel}: {beat.get(_DELIVERED + channel, '0')} delivered"]
        failed = beat.get(_FAILED + channel, "0")
        pending = beat.get(f"{channel}_pending", "0")
        said += [f"{failed} failed"] if failed != "0" else []
        said += [f"{pending} pending"] if pending != "0" else []
        yield ", ".join(said)
    if channels:
        yield f"since {_since(beat)}"


def _errors(beat: Mapping[str, str]) -> Iterator[str]:
    errors = beat.get("errors_last_hour", "0")
    if errors != "0":
        yield f"{_many(errors, 'error')} in the last hour"


def _many(count: str, what: str) -> str:
    return f"{count} {what}{'' if count == '1' else 's'}"


def _since(beat: Mapping[str, str]) -> str:
    started = beat.get("started_at", "")
    return utc(int(started))[:16] if started.isdecimal() else "the start"


def _clock(milliseconds: str) -> str:
    return utc(int(milliseconds)).partition(" ")[2].removesuffix(" UTC")
