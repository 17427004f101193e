"""What the streams tell: closing frames when they are due (or treated), open frames in between."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from sim.agenda import NEVER_MS, Agenda
from sim.clock import Clock
from sim.frames import binary_frame, kline_event, stream_name, text_frame
from sim.garbage import garbage
from sim.lane import Lane
from sim.streams import Streams
from sim.tape import TIMEFRAMES, Kline, Tape
from sim.treatments import (
    Contradicted,
    Late,
    Lost,
    Reversed,
    Treatment,
    Treatments,
    Twice,
    contradict,
)


class Feed:
    """Sends what happens on the market to whoever has subscribed to it.

    Args:
        lateness_ms: range of market time by which closing frames follow their boundary.
        correct: tells REST of a candle that it has to show with other values.

    Attributes:
        treatments: what is to be done to the next closing frames.
        pending: closing frames that were put off and will still come.
    """

    def __init__(
        self,
        symbol: str,
        tape: Tape,
        streams: Streams,
        clock: Clock,
        agenda: Agenda,
        *,
        lateness_ms: tuple[int, int],
        seed: int,
        correct: Callable[[str, Kline], None],
    ) -> None:
        self.treatments = Treatments()
        self.pending = 0
        self.frames_sent = 0
        self.closing_frames_sent = 0
        self._symbol = symbol
        self._tape = tape
        self._streams = streams
        self._clock = clock
        self._agenda = agenda
        self._lateness_ms = lateness_ms
        self._seed = seed
        self._correct = correct
        self._lanes: dict[str, Lane] = {}
        self._heard: list[Lane] = []
        self._heard_version = -1
        self._held: list[Callable[[], None]] = []

    def lanes_heard(self) -> Sequence[Lane]:
        """The lanes somebody listens to."""
        if self._heard_version != self._streams.version:
            self._heard_version = self._streams.version
            self._heard = [
                self._lane(interval)
                for interval in TIMEFRAMES
                if self._streams.subscribers(stream_name(self._symbol, interval))
            ]
        return self._heard

    def due(self, boundary: int, *, everything: bool = False) -> list[tuple[int, Lane, int]]:
        """(event time, lane, index) of the candles that close at ``boundary``, in order of time."""
        lanes = map(self._lane, TIMEFRAMES) if everything else self.lanes_heard()
        due = []
        for lane in lanes:
            index = lane.closing_at(boundary)
            if index is not None:
                due.append((int(lane.event_ms[index]), lane, index))
        if len(due) > 1:
            due.sort(key=lambda step: step[0])
        return due

    def sent_at(self, interval: str, boundaries_ms: Sequence[int]) -> list[int]:
        """Wall times (ns) at which closing frames first went to a socket; 0 where none did."""
        if interval not in self._lanes:
            return [0] * len(boundaries_ms)
        return self._lanes[interval].sent_at(boundaries_ms)

    def cut_out(self, from_ms: int, to_ms: int) -> None:
        """Let the minutes that open in this range never exist; none of them has begun."""
        self._tape.cut_out(from_ms, to_ms)
        for lane in self._lanes.values():
            lane.lose(self._tape.series(lane.interval))

    def close(self, lane: Lane, index: int) -> None:
        """Send a closing frame, or what is to come instead of it.

        Treatments wait for frames that somebody would hear.
        """
        treatment = None
        if self.treatments and self._streams.subscribers(lane.stream):
            treatment = self.treatments.take(lane.interval)
        if treatment is None:
            self._send_ready(lane, index)
        else:
            self._treat(treatment, lane, lane.kline(index), int(lane.event_ms[index]))

    def send_open(self, at_ms: int) -> None:
        """Send the candles in progress."""
        for lane in self.lanes_heard():
            kline = self._tape.open_at(lane.interval, at_ms)
            if kline is None:
                continue
            event = kline_event(self._symbol, lane.interval, at_ms, kline, closed=False)
            for listener in self._streams.subscribers(lane.stream):
                self.frames_sent += listener.tell(lane.stream, event)

    def send_garbage(self, kind: str) -> None:
        """Send a frame that no exchange should send; see ``sim.garbage`` for the kinds."""
        for lane in self.lanes_heard():
            index = self._tape.closed_by(lane.interval, self._clock.now_ms)
            kline = lane.kline(min(index, self._tape.closed_by(lane.interval, NEVER_MS) - 1))
            event = kline_event(self._symbol, lane.interval, self._clock.now_ms, kline, closed=True)
            broken, is_event = garbage(kind, event)
            for listener in self._streams.subscribers(lane.stream):
                if isinstance(broken, bytes):
                    listener.deliver(binary_frame(broken))
                elif is_event:
                    listener.tell(lane.stream, broken)
                else:
                    listener.deliver(text_frame(broken))

    def release(self) -> None:
        """Send what is held, the last one first."""
        held, self._held = self._held, []
        self.pending -= len(held)
        for send in reversed(held):
            send()

    def _lane(self, interval: str) -> Lane:
        if interval not in self._lanes:
            series = self._tape.series(interval)
            self._lanes[interval] = Lane(self._symbol, series, self._lateness_ms, self._seed)
        return self._lanes[interval]

    def _send_ready(self, lane: Lane, index: int) -> None:
        now_ns = time.time_ns()
        sent = 0
        for listener in self._streams.subscribers(lane.stream):
            frame = lane.closings.frame(index, wrapped=listener.wants.wrapped)
            if listener.deliver(frame):
                sent += 1
            else:
                self._streams.forget(listener)
        if sent and not lane.sent_ns[index]:
            lane.sent_ns[index] = now_ns
        self.closing_frames_sent += sent
        self.frames_sent += sent

    def _send(self, lane: Lane, kline: Kline, event_ms: int | None = None) -> None:
        """Send a closing frame that is not the ready one; None: it states the time it has now."""
        now_ns = time.time_ns()
        at_ms = self._clock.now_ms if event_ms is None else event_ms
        event = kline_event(self._symbol, lane.interval, at_ms, kline, closed=True)
        subscribers = self._streams.subscribers(lane.stream)
        sent = sum(listener.tell(lane.stream, event) for listener in subscribers)
        if sent:
            lane.note_sent(kline.open_ms, now_ns)
        self.closing_frames_sent += sent
        self.frames_sent += sent

    def _treat(self, treatment: Treatment, lane: Lane, kline: Kline, event_ms: int) -> None:
        match treatment:
            case Late(late_ms):
                self._put_off(kline.close_ms + 1 + late_ms, lane, kline)
            case Lost():
                pass
            case Twice(after_ms):
                self._send(lane, kline, event_ms)
                self._put_off(event_ms + after_ms, lane, kline)
            case Reversed(size):
                self._held.append(partial(self._send, lane, kline))
                self.pending += 1
                if len(self._held) >= size:
                    self.release()
            case Contradicted(side, by):
                self._contradict(lane, kline, contradict(kline, by), side)

    def _contradict(self, lane: Lane, kline: Kline, lie: Kline, side: str) -> None:
        if side == "rest":
            self._correct(lane.interval, lie)
        self._send(lane, lie if side == "ws" else kline)
        if side == "copy":
            self._send(lane, lie)

    def _put_off(self, at_ms: int, lane: Lane, kline: Kline) -> None:
        """Send a closing frame at ``at_ms``, and count it as pending until then."""

        def send() -> None:
            self.pending -= 1
            self._send(lane, kline, at_ms)

        self.pending += 1
        if at_ms <= self._clock.now_ms:
            send()
        else:
            self._agenda.at(at_ms, send)
