"""The stream contract in Python: the three atomic scripts, and blocking reads.

Every function here is idempotent, so ``RedisAccess.patiently`` may repeat it after a lost reply:
an appended candle is then a duplicate, a commit finds its own position, an emitted entry is behind
the cursor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import msgpack

from shared import keys
from shared.candle import Candle
from shared.indicators_entry import IndicatorsEntry
from shared.redis_access import RedisAccess
from shared.redis_client import COMMAND_TIMEOUT_S
from shared.settings import Streams
from shared.trade_signal import Side, Signal

_SCRIPTS = Path(__file__).parent / "scripts"
_MINUTE_MS = 60_000

Entry = tuple[bytes, dict[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch of candles.

    Attributes:
        status: ``ok``; ``gap``: candles are absent before the rest of the batch; ``ahead``: the
            readers are too far behind for the rest of the batch.
        last_ms: The last boundary in the stream now, None while it is empty.
    """

    status: Literal["ok", "gap", "ahead"]
    appended: int
    duplicates: int
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class Committed:
    """What became of a commit.

    Attributes:
        status: ``ok``; ``duplicate``: another instance is at ``what``; ``conflict``: one with the
            parameters ``what`` is alive; ``ahead``: the detector is still at ``what``; ``lost``:
            the stream ends at ``what``, before the last entry that was output.
    """

    status: Literal["ok", "duplicate", "conflict", "ahead", "lost"]
    what: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of an evaluated entry.

    Attributes:
        status: ``emitted`` as stream entry ``what``; ``suppressed`` by the last signal's time and
            price ``what``; ``duplicate``: evaluated before; ``advanced``: there was no signal;
            ``lost``: Redis has lost what was judged after ``what``, judge it again.
    """

    status: Literal["emitted", "suppressed", "duplicate", "advanced", "lost"]
    what: str


class KlinesWriter:
    """Appends closed candles to the ``klines`` streams of one market."""

    def __init__(self, access: RedisAccess, symbol: str, settings: Streams) -> None:
        """Write for ``symbol`` (``BTCUSDT``)."""
        self._access, self._symbol = access, symbol
        self._maxlen = str(settings.klines_maxlen)
        self._lead_ms = str(settings.max_lead * _MINUTE_MS)
        self._script = access.script((_SCRIPTS / "append.lua").read_text())

    async def append(
        self, timeframe: str, interval_ms: int, candles: Sequence[Candle], *, begin: bool = True
    ) -> Appended:
        """Append those of ``candles`` (in order) that come next; see ``Appended``.

        Unless they may ``begin`` a stream, an empty one answers ``gap``.
        """
        packed = msgpack.packb([(str(each.boundary_ms), each.fields()) for each in candles])
        arguments = [
            str(interval_ms),
            self._maxlen,
            self._lead_ms,
            timeframe,
            str(int(begin)),
            packed,
        ]
        symbol = self._symbol
        written = [keys.klines(symbol, timeframe), keys.progress(symbol), keys.totals(symbol)]
        reply = await self._access.patiently(lambda: self._script(keys=written, args=arguments))
        status, appended, duplicates, last = reply
        return Appended(
            cast("Literal['ok', 'gap', 'ahead']", status.decode()),
            appended,
            duplicates,
            int(last) if last else None,
        )


class IndicatorsWriter:
    """Commits indicators entries together with the state that they lead to."""

    def __init__(
        self, access: RedisAccess, symbol: str, settings: Streams, parameters: str
    ) -> None:
        """Write for ``symbol`` as the owner with these ``parameters`` (in words)."""
        self._access, self._symbol, self._parameters = access, symbol, parameters
        self._maxlen = str(settings.indicators_maxlen)
        self._lead_ms = str(settings.max_lead * _MINUTE_MS)
        self._script = access.script((_SCRIPTS / "commit.lua").read_text())

    async def commit(
        self,
        expected: str,
        position: str,
        snapshot: bytes,
        entries: Sequence[IndicatorsEntry],
        owner_ttl_ms: int,
        *,
        output: str = "",
    ) -> Committed:
        """Write ``entries`` and ``snapshot``, if the stored position is ``expected``.

        ``output`` is the last entry that was output before, as far as that is known.
        """
        arguments: list[str | bytes] = [
            self._parameters,
            str(owner_ttl_ms),
            expected,
            position,
            snapshot,
            self._maxlen,
            self._lead_ms,
            output,
            msgpack.packb([(entry.entry_id, entry.fields()) for entry in entries]),
        ]
        symbol = self._symbol
        written = [
            keys.indicators(symbol),
            keys.state(symbol),
            keys.owner(symbol),
            keys.progress(symbol),
        ]
        reply = await self._access.patiently(lambda: self._script(keys=written, args=arguments))
        status, what = reply[0].decode(), reply[1].decode()
        if status == "duplicate" and what == position:
            status = "ok"  # our reply was lost, or a twin wrote the very same
        return Committed(
            cast("Literal['ok', 'duplicate', 'conflict', 'ahead', 'lost']", status), what
        )


class SignalsWriter:
    """Emits signals and advances the detector's cursor."""

    def __init__(
        self,
        access: RedisAccess,
        symbol: str,
        settings: Streams,
        *,
        window_ms: int,
        threshold_percent: float,
    ) -> None:
        """Write for ``symbol``, suppressing what dedup's window and threshold say."""
        self._access, self._symbol = access, symbol
        self._maxlen = str(settings.signals_maxlen)
        self._window_ms, self._threshold = window_ms, threshold_percent
        self._cursor = ""
        self._script = access.script((_SCRIPTS / "emit.lua").read_text())

    async def judge(self, entry_id: str, signal: Signal | None) -> Judged:
        """Advance the cursor to ``entry_id``, emitting its ``signal`` unless that repeats one."""
        side = Side.LONG if signal is None else signal.side
        other = Side.SHORT if side is Side.LONG else Side.LONG
        written = [
            keys.SIGNALS,
            keys.dedup(self._symbol, side),
            keys.cursor(self._symbol),
            keys.dedup(self._symbol, other),
        ]
        arguments: list[str | bytes] = [entry_id, self._cursor]
        if signal is not None:
            arguments += [
                str(signal.close_time_ms),
                repr(signal.entry),
                str(self._window_ms),
                repr(self._threshold),
                str(self._window_ms + _DEDUP_MARGIN_MS),
                self._maxlen,
                signal.id,
                msgpack.packb(signal.fields()),
            ]
        reply = await self._access.patiently(lambda: self._script(keys=written, args=arguments))
        status, what = reply[0].decode(), reply[1].decode()
        self._cursor = what if status in ("duplicate", "lost") else entry_id
        return Judged(
            cast("Literal['emitted', 'suppressed', 'duplicate', 'advanced', 'lost']", status), what
        )

    def continue_after(self, entry_id: str) -> None:
        """Take it that ``entry_id`` is the cursor in Redis: should it be gone, that is a loss."""
        self._cursor = entry_id

    async def go_back(self, entry_id: str) -> None:
        """Make ``entry_id`` the last judged entry."""
        await self._access.patiently(
            lambda: self._access.client.set(keys.cursor(self._symbol), entry_id)
        )
        self._cursor = entry_id


# The key must outlive every comparison with it, also when services that stood still for long catch
# up: longer than candles are kept and lag. It is one small key per market and side.
_DEDUP_MARGIN_MS = 30 * 86_400_000


async def read(
    access: RedisAccess, positions: Mapping[str, str], *, count: int, block_ms: int
) -> dict[str, list[Entry]]:
    """Entries after ``positions`` (stream → last ID seen), waiting up to ``block_ms`` for one.

    ``count`` bounds the entries per stream.
    """
    wanted: dict[Any, Any] = dict(positions)
    reply = await access.patiently(
        lambda: access.client.xread(wanted, count=count, block=block_ms),
        timeout=COMMAND_TIMEOUT_S + block_ms / 1000,
    )
    batches = cast("list[tuple[bytes, list[Entry]]]", reply)
    return {stream.decode(): entries for stream, entries in batches}
