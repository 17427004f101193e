"""Faults of WebSocket connections.

Each takes effect at once, for those that exist, unless it says otherwise.
"""

import json
from functools import partial
from typing import Literal

from websockets.frames import CloseCode

from sim.faults.bounded import Bounded, after, each
from sim.faults.catalogue import fault
from sim.frames import stream_name
from sim.listener import Listener
from sim.streams import Refusal
from sim.tape import TIMEFRAMES

DAY_MS = 86_400_000

STRAY_REPLIES = {
    "result": {"result": None, "id": 9007},
    "list": {"result": ["btcusdt@kline_1m"], "id": "stray"},
    "error": {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
}


class ConnectionFaults(Bounded):
    """How connections are refused, end, or fall silent."""

    def __init__(self, *, lifetime_ms: int | None) -> None:
        super().__init__()
        self._lifetime_ms = self._usual_lifetime_ms = lifetime_ms

    @fault()
    def cut(
        self, *, close_frame: bool = True, code: int = CloseCode.GOING_AWAY, reason: str = ""
    ) -> None:
        """End all WebSocket connections, politely or not."""
        self.streams.cut(close_frame=close_frame, code=code, reason=reason)

    @fault()
    def silence(self, *, on: bool = True) -> None:
        """Keep the connections but deliver nothing to them; pings and replies go on."""
        self.streams.silence(on=on)

    @fault()
    def half_open(self, *, for_ms: int | None = None) -> None:
        """Keep the sockets, and let nothing pass: no frames, pings, pongs, replies, close frames.

        Such a connection never comes back to life; after ``for_ms`` it is reset.
        """
        dead = list(self.streams.listeners)
        self.streams.kill()
        self.until(object(), for_ms, partial(each, Listener.reset, dead))

    @fault()
    def accept_then_close(
        self, count: int = 1, *, handshake: bool = True, close_frame: bool = True
    ) -> None:
        """End the next connections right after their handshake, or before it."""
        if handshake:
            self.streams.short_visits.add(close_frame, count)
        else:
            self.streams.slammed.add(True, count)

    @fault()
    def refuse_connections(
        self, *, for_ms: int, port: Literal["ws", "rest", "both"] = "ws"
    ) -> None:
        """Refuse TCP connections for a while; those of REST that were kept for later are reset."""
        if port not in ("ws", "rest", "both"):
            raise ValueError(f'port {port!r}: "ws", "rest" or "both"')
        if port != "rest":
            self.streams.door.shut()
            self.until("ws door", for_ms, self.streams.door.open)
        if port != "ws":
            self.rest.door.shut()
            self.rest.hang_up()
            self.until("rest door", for_ms, self.rest.door.open)

    @fault()
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
        self.expire(for_ms, partial(self.streams.refusals.drop, refusal))

    @fault()
    def server_shutdown(self, *, lead_s: float = 1.0, close_frame: bool = True) -> None:
        """Announce the end of all connections, and end them ``lead_s`` later."""
        told = list(self.streams.listeners)
        for listener in told:
            event = f'{{"e":"serverShutdown","E":{self.clock.now_ms}}}'
            listener.tell("!serverShutdown", event)
        goodbye = partial(_end, close_frame, CloseCode.GOING_AWAY, "Server shutdown")
        after(lead_s, partial(each, goodbye, told))

    @fault()
    def limit_lifetime(
        self, lifetime_ms: int | None = DAY_MS, *, for_ms: int | None = None
    ) -> None:
        """End every connection at this age, also those to come; None for no limit."""
        self._set_lifetime(lifetime_ms)
        self.until("lifetime", for_ms, partial(self._set_lifetime, self._usual_lifetime_ms))

    @fault()
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
        self.until(f"mute {interval}", for_ms, partial(self.streams.mute, stream, on=False))

    @fault()
    def ignore_pongs(self, *, deadline_s: float = 60.0) -> None:
        """Ping everybody now, take no notice of the pongs, and cut at the deadline."""
        pinged = list(self.streams.listeners)
        each(partial(Listener.poke, payload=str(self.clock.now_ms).encode()), pinged)
        goodbye = partial(_end, True, CloseCode.POLICY_VIOLATION, "Pong timeout")
        after(deadline_s, partial(each, goodbye, pinged))

    @fault()
    def stray_reply(self, kind: str = "result") -> None:
        """Send a reply to a control message that nobody sent, without envelope as they all are."""
        if kind not in STRAY_REPLIES:
            raise ValueError(f"no reply is called {kind!r}; there are {', '.join(STRAY_REPLIES)}")
        self.streams.inject(json.dumps(STRAY_REPLIES[kind]))

    @fault()
    def inject(self, text: str) -> None:
        """Send a raw text frame to everybody who has subscribed to anything."""
        self.streams.inject(text)

    def _set_lifetime(self, lifetime_ms: int | None) -> None:
        self._lifetime_ms = lifetime_ms
        each(self.limit, self.streams.listeners)

    def limit(self, listener: Listener) -> None:
        """Have a connection looked at when it will be too old."""
        if self._lifetime_ms is not None:
            due_ms = listener.opened_ms + self._lifetime_ms
            self.agenda.at(due_ms, partial(self._end_if_old, listener))

    def _end_if_old(self, listener: Listener) -> None:
        age_ms = self.clock.now_ms - listener.opened_ms
        if self._lifetime_ms is not None and age_ms >= self._lifetime_ms:
            listener.say_goodbye(CloseCode.GOING_AWAY, "Lifetime is over")


def _end(close_frame: bool, code: int, reason: str, listener: Listener) -> None:
    if close_frame:
        listener.say_goodbye(code, reason)
    else:
        listener.cut()
