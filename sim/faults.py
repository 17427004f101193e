"""How the exchange can misbehave: every fault by name, each bounded by a count or a time.

Names that end in ``_ms`` mean market time, ``_s`` wall time: what a client waits for with its own
clock is wall time. While the market's clock stands (before the first subscription, and after the
end of the candles), a span of market time passes as wall time too, so that everything has an end.
"""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial, update_wrapper
from typing import Any, Concatenate, Literal, ParamSpec

from websockets.frames import CloseCode

from sim.agenda import Agenda
from sim.candles import MINUTE_MS
from sim.clock import Clock
from sim.feed import Feed
from sim.frames import stream_name
from sim.garbage import KINDS
from sim.listener import Listener
from sim.rest import HalfBody, Rest
from sim.schedule import Fault
from sim.script import Answer, Script
from sim.streams import Refusal, Streams
from sim.tape import TIMEFRAMES
from sim.treatments import Contradicted, Late, Lost, Reversed, Side, Treatment, Twice

DAY_MS = 86_400_000

STRAY_REPLIES = {
    "result": {"result": None, "id": 9007},
    "list": {"result": ["btcusdt@kline_1m"], "id": "stray"},
    "error": {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
}
BUSY_PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"

P = ParamSpec("P")


class UnknownFault(ValueError):
    """There is no such fault, or its arguments do not fit."""


FAULTS: dict[str, Callable[..., None]] = {}


def _fault(
    name: str | None = None,
) -> Callable[[Callable[Concatenate["Faults", P], None]], Callable[Concatenate["Faults", P], None]]:
    """Enter a method in ``FAULTS`` and count how often it was used; ending one does not count."""

    def enter(
        method: Callable[Concatenate["Faults", P], None],
    ) -> Callable[Concatenate["Faults", P], None]:
        known_as = name or method.__name__

        def counted(self: "Faults", /, *args: P.args, **kwargs: P.kwargs) -> None:
            method(self, *args, **kwargs)
            if kwargs.get("on", True):
                self.caused[known_as] += 1

        update_wrapper(counted, method)
        FAULTS[known_as] = counted
        return counted

    return enter


class Faults:
    """The misbehaviour of an exchange whose parts are given.

    Attributes:
        caused: how often each fault was caused, by name.
    """

    symbol: str
    clock: Clock
    agenda: Agenda
    streams: Streams
    rest: Rest
    feed: Feed

    def __init__(self, *, lifetime_ms: int | None, rest_lag_ms: int) -> None:
        self.caused: Counter[str] = Counter()
        self.walking = False
        self._lifetime_ms = self._usual_lifetime_ms = lifetime_ms
        self._usual_lag_ms = rest_lag_ms
        self._ends: dict[object, tuple[Callable[[], None], bool]] = {}

    def cause(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Cause the fault ``name``.

        Raises:
            UnknownFault: there is no such fault, or its arguments do not fit.
        """
        check_fault(name, arguments)
        FAULTS[name](self, **arguments)

    def obey(
        self,
        schedule: Iterable[Fault],
        cause: Callable[[str, Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Cause each fault when the clock passes its time, also at full speed."""
        for fault in schedule:
            self.agenda.at(fault.at_ms, partial(cause or self.cause, fault.name, fault.arguments))

    def behave(self) -> None:
        """End all faults, also those that wait for their turn; not those of a schedule to come."""
        self.silence(on=False)
        scripts: tuple[Script[Any], ...] = (
            self.rest.answers,
            self.rest.holes,
            self.rest.halves,
            self.streams.refusals,
            self.streams.slammed,
            self.streams.short_visits,
        )
        for script in scripts:
            script.clear()
        self.feed.treatments.clear()
        self.feed.release()
        self.rest.corrections.clear()
        self._end_faults(bounded_only=False)

    # Connections. Each takes effect at once, for those that exist, unless it says otherwise.

    @_fault()
    def cut(
        self, *, close_frame: bool = True, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """End all WebSocket connections, politely or not."""
        self.streams.cut(close_frame=close_frame, code=code, reason=reason)

    @_fault()
    def silence(self, *, on: bool = True) -> None:
        """Keep the connections but deliver nothing to them; pings and replies go on."""
        self.streams.silence(on=on)

    @_fault()
    def half_open(self, *, for_ms: int | None = None) -> None:
        """Keep the sockets, and let nothing pass: no frames, pings, pongs, replies, close frames.

        Such a connection never comes back to life; after ``for_ms`` it is reset.
        """
        dead = list(self.streams.listeners)
        self.streams.kill()
        self._until(object(), for_ms, partial(_each, Listener.reset, dead))

    @_fault()
    def accept_then_close(
        self, count: int = 1, *, handshake: bool = True, close_frame: bool = True
    ) -> None:
        """End the next connections right after their handshake, or before it."""
        if handshake:
            self.streams.short_visits.add(close_frame, count)
        else:
            self.streams.slammed.add(True, count)

    @_fault()
    def refuse_connections(
        self, *, for_ms: int, port: Literal["ws", "rest", "both"] = "ws"
    ) -> None:
        """Refuse TCP connections for a while; those of REST that were kept for later are reset."""
        if port not in ("ws", "rest", "both"):
            raise ValueError(f'port {port!r}: "ws", "rest" or "both"')
        if port != "rest":
            self.streams.door.shut()
            self._until("ws door", for_ms, self.streams.door.open)
        if port != "ws":
            self.rest.door.shut()
            self.rest.hang_up()
            self._until("rest door", for_ms, self.rest.door.open)

    @_fault()
    def refuse_handshakes(
        self,
        count: int = 1,
        *,
        status: int = 503,
        body: str = "",
        retry_after_s: int | None = None,
        for_ms: int | None = None,
    ) -> None:
        """Answer the next WebSocket handshakes with an HTTP error."""
        refusal = Refusal(status, body, retry_after_s)
        self.streams.refusals.add(refusal, count)
        self._expire(for_ms, partial(self.streams.refusals.drop, refusal))

    @_fault()
    def server_shutdown(self, *, lead_s: float = 1.0, close_frame: bool = True) -> None:
        """Announce the end of all connections, and end them ``lead_s`` later."""
        told = list(self.streams.listeners)
        for listener in told:
            event = f'{{"e":"serverShutdown","E":{self.clock.now_ms}}}'
            listener.tell("!serverShutdown", event)
        goodbye = partial(_end, close_frame, CloseCode.GOING_AWAY, "Server shutdown")
        _after(lead_s, partial(_each, goodbye, told))

    @_fault()
    def limit_lifetime(
        self, lifetime_ms: int | None = DAY_MS, *, for_ms: int | None = None
    ) -> None:
        """End every connection at this age, also those to come; None for no limit."""
        self._set_lifetime(lifetime_ms)
        self._until("lifetime", for_ms, partial(self._set_lifetime, self._usual_lifetime_ms))

    @_fault()
    def mute_stream(
        self, interval: str, *, for_ms: int | None = None, newcomers: bool = False
    ) -> None:
        """Keep one timeframe's stream silent on the present connections, or on all.

        The subscription is acknowledged and listed; other streams go on.
        """
        if interval not in TIMEFRAMES:
            raise ValueError(f"no stream of {interval!r}; there are {', '.join(TIMEFRAMES)}")
        stream = stream_name(self.symbol, interval)
        self.streams.mute(stream, newcomers=newcomers)
        self._until(f"mute {interval}", for_ms, partial(self.streams.mute, stream, on=False))

    @_fault()
    def ignore_pongs(self, *, deadline_s: float = 60.0) -> None:
        """Ping everybody now, take no notice of the pongs, and cut at the deadline."""
        pinged = list(self.streams.listeners)
        _each(partial(Listener.poke, payload=str(self.clock.now_ms).encode()), pinged)
        goodbye = partial(_end, True, CloseCode.POLICY_VIOLATION, "Pong timeout")
        _after(deadline_s, partial(_each, goodbye, pinged))

    @_fault()
    def stray_reply(self, kind: str = "result") -> None:
        """Send a reply to a control message that nobody sent, without envelope as they all are."""
        if kind not in STRAY_REPLIES:
            raise ValueError(f"no reply is called {kind!r}; there are {', '.join(STRAY_REPLIES)}")
        self.streams.inject(json.dumps(STRAY_REPLIES[kind]))

    @_fault()
    def inject(self, text: str) -> None:
        """Send a raw text frame to everybody who has subscribed to anything."""
        self.streams.inject(text)

    # Frames. Those with a count are for the next closing frames, of one timeframe or of any.

    @_fault()
    def late_close(self, late_ms: int, count: int = 1, *, interval: str | None = None) -> None:
        """Send closing frames this long after the boundary, up to 30 s; REST is not late."""
        if not 0 <= late_ms <= MINUTE_MS // 2:
            raise ValueError(f"late by {late_ms} ms: give 0 to 30000")
        self._treat(Late(late_ms), count, interval)

    @_fault()
    def lose_close(self, count: int = 1, *, interval: str | None = None) -> None:
        """Never send them."""
        self._treat(Lost(), count, interval)

    @_fault()
    def duplicate(self, count: int = 1, *, after_ms: int = 0, interval: str | None = None) -> None:
        """Send them twice; with ``after_ms`` the copies are old news between new frames."""
        self._treat(Twice(after_ms), count, interval)

    @_fault()
    def disorder(self, count: int = 2, *, interval: str | None = None) -> None:
        """Hold them until all are there, and send the last one first."""
        self._treat(Reversed(count), count, interval)

    @_fault()
    def contradict(
        self,
        count: int = 1,
        *,
        side: Side = "copy",
        by: float = 0.001,
        interval: str | None = None,
    ) -> None:
        """Tell two values of a candle, apart by the share ``by`` in close and volume.

        ``side`` is who lies: the frame ("ws"), REST until ``behave`` ("rest"), or a second frame
        right after the true one ("copy").
        """
        if side not in ("ws", "rest", "copy"):
            raise ValueError(f'side {side!r}: "ws", "rest" or "copy"')
        self._treat(Contradicted(side, by), count, interval)

    @_fault()
    def garbage(self, kind: str | None = None) -> None:
        """Send a frame of this kind to whoever hears anything, or one of each (None)."""
        for name in KINDS if kind is None else (kind,):
            self.feed.send_garbage(name)

    # REST. Counts are requests; what is left of them ends after ``for_ms``.

    @_fault("rest")
    def answer_rest(self, answer: Answer, count: int = 1, *, for_ms: int | None = None) -> None:
        """Give the next REST requests this answer."""
        self._answer(answer, count, for_ms)

    @_fault()
    def hide(self, open_ms: Collection[int], count: int = 1, *, for_ms: int | None = None) -> None:
        """Leave these candles out of the next REST pages."""
        hole = frozenset(open_ms)
        self.rest.holes.add(hole, count)
        self._expire(for_ms, partial(self.rest.holes.drop, hole))

    @_fault()
    def rest_limit(
        self,
        count: int = 1,
        *,
        status: int = 429,
        retry_after_s: int = 1,
        for_ms: int | None = None,
    ) -> None:
        """Refuse for too many requests: 429, or 418 for the ban that follows."""
        if status == 418:
            until_ms = self.clock.now_ms + retry_after_s * 1000
            text = f"Way too much request weight used; IP banned until {until_ms}. "
        else:
            text = (
                "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
            )
        body = {"code": -1003, "msg": text + "Please use WebSocket Streams for live updates."}
        headers = {"Retry-After": str(retry_after_s)}
        self._answer(Answer(status, json.dumps(body), headers), count, for_ms)

    @_fault()
    def rest_error(
        self,
        count: int = 1,
        *,
        status: int = 503,
        html: bool = False,
        for_ms: int | None = None,
    ) -> None:
        """Answer with an error of the server's, as JSON or as somebody's HTML page."""
        answer = Answer(
            status, json.dumps({"code": -1008, "msg": "Server is currently overloaded."})
        )
        if html:
            answer = Answer(status, BUSY_PAGE.format(status), content_type="text/html")
        self._answer(answer, count, for_ms)

    @_fault()
    def rest_html(self, count: int = 1, *, for_ms: int | None = None) -> None:
        """Answer 200 with an HTML page, as a captive portal does."""
        page = BUSY_PAGE.format("Please sign in")
        self._answer(Answer(200, page, content_type="text/html"), count, for_ms)

    @_fault()
    def rest_hang(self, count: int = 1, *, hang_s: float = 30.0, for_ms: int | None = None) -> None:
        """Say nothing for a while, then cut the connection."""
        self._answer(Answer(delay_s=hang_s, drop=True), count, for_ms)

    @_fault()
    def rest_reset(self, count: int = 1, *, for_ms: int | None = None) -> None:
        """Reset the connection instead of answering; clients may try once more by themselves."""
        self._answer(Answer(reset=True), count, for_ms)

    @_fault()
    def rest_truncate(
        self, count: int = 1, *, unnoticed: bool = False, for_ms: int | None = None
    ) -> None:
        """Break off true answers in the middle, with a stated length that gives it away or not."""
        half = HalfBody(unnoticed)
        self.rest.halves.add(half, count)
        self._expire(for_ms, partial(self.rest.halves.drop, half))

    @_fault()
    def rest_lag(self, lag_ms: int, *, for_ms: int | None = None) -> None:
        """Let REST learn of closed candles this much later than the stream."""
        self.rest.lag_ms = lag_ms
        self._until("lag", for_ms, partial(setattr, self.rest, "lag_ms", self._usual_lag_ms))

    # Time.

    @_fault()
    def skew(self, by_ms: int, *, for_ms: int | None = None) -> None:
        """Set the exchange's clock ahead of its pace, or behind; see ``Clock.skew``."""
        self.clock.skew(by_ms)
        self._expire(for_ms, partial(self.clock.skew, -by_ms))

    @_fault()
    def maintenance(self, *, for_ms: int, from_ms: int | None = None) -> None:
        """Let whole minutes pass without candles, from ``from_ms`` or the next minute on.

        Neither frames nor REST will ever know them. This changes what is true: an undisturbed run
        to compare with needs the same candles (``sim.candles.without``).
        """
        next_ms = -(-self.clock.now_ms // MINUTE_MS) * MINUTE_MS
        start_ms = max(next_ms, -(-(from_ms or 0) // MINUTE_MS) * MINUTE_MS)
        end_ms = (next_ms if from_ms is None else from_ms) + for_ms
        self.feed.cut_out(start_ms, -(-end_ms // MINUTE_MS) * MINUTE_MS)

    def _treat(self, treatment: Treatment, count: int, interval: str | None) -> None:
        if interval is not None and interval not in TIMEFRAMES:
            raise ValueError(f"no stream of {interval!r}; there are {', '.join(TIMEFRAMES)}")
        if count < 1:
            raise ValueError(f"{count} frames: at least one")
        self.feed.treatments.add(treatment, count, interval)

    def _answer(self, answer: Answer, count: int, for_ms: int | None) -> None:
        self.rest.answers.add(answer, count)
        self._expire(for_ms, partial(self.rest.answers.drop, answer))

    def _set_lifetime(self, lifetime_ms: int | None) -> None:
        self._lifetime_ms = lifetime_ms
        _each(self._limit, self.streams.listeners)

    def _limit(self, listener: Listener) -> None:
        """Have a connection looked at when it will be too old."""
        if self._lifetime_ms is not None:
            due_ms = listener.opened_ms + self._lifetime_ms
            self.agenda.at(due_ms, partial(self._end_if_old, listener))

    def _end_if_old(self, listener: Listener) -> None:
        age_ms = self.clock.now_ms - listener.opened_ms
        if self._lifetime_ms is not None and age_ms >= self._lifetime_ms:
            listener.say_goodbye(CloseCode.GOING_AWAY, "Lifetime is over")

    def _until(self, key: object, for_ms: int | None, end: Callable[[], None]) -> None:
        """End a fault after ``for_ms``, or (None) when told to behave.

        A fault with the same key begins anew: only the last end counts.
        """
        entry = (end, for_ms is not None)
        self._ends[key] = entry
        if for_ms is None:
            return

        def finish() -> None:
            if self._ends.get(key) is entry:
                del self._ends[key]
                end()

        self.agenda.at(self.clock.now_ms + for_ms, finish)
        if not self.walking:
            _after(for_ms / 1000, finish)

    def _expire(self, for_ms: int | None, end: Callable[[], None]) -> None:
        """The same for what needs no end of its own unless it is bounded by time."""
        if for_ms is not None:
            self._until(object(), for_ms, end)

    def _end_faults(self, *, bounded_only: bool) -> None:
        """End now what would end later: at the end of the market, no later comes."""
        for key, (end, bounded) in list(self._ends.items()):
            if bounded or not bounded_only:
                del self._ends[key]
                end()


def _scripted_answer(faults: Faults, *, count: int = 1, **answer: Any) -> None:
    """``answer_rest`` for those who cannot hand over an ``Answer``."""
    for_ms = answer.pop("for_ms", None)
    faults.answer_rest(answer_of(answer), count, for_ms=for_ms)


FAULTS["rest"] = _scripted_answer


def answer_of(parts: dict[str, Any]) -> Answer:
    """A scripted answer; a body that is no text is written as JSON."""
    body = parts.pop("body", "")
    return Answer(body=body if isinstance(body, str) else json.dumps(body), **parts)


def check_fault(name: str, arguments: Mapping[str, Any]) -> None:
    """Raise ``UnknownFault`` unless there is such a fault that takes such arguments."""
    if name not in FAULTS:
        raise UnknownFault(f"no fault is called {name!r}; there are {', '.join(sorted(FAULTS))}")
    try:
        inspect.signature(FAULTS[name]).bind(None, **arguments)
    except TypeError as error:
        raise UnknownFault(f"{name}: {error}") from None


def _each(action: Callable[[Listener], None], listeners: Iterable[Listener]) -> None:
    for listener in list(listeners):
        action(listener)


def _end(close_frame: bool, code: int, reason: str, listener: Listener) -> None:
    if close_frame:
        listener.say_goodbye(code, reason)
    else:
        listener.cut()


def _after(seconds: float, action: Callable[[], None]) -> None:
    """Act after some wall time, or at once."""
    if seconds > 0:
        asyncio.get_running_loop().call_later(seconds, action)
    else:
        action()
