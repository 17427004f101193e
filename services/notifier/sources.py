"""What a channel delivers, and from which streams: signals, and events of the scanner itself. Pure.

Each is read by a consumer group and tasks of its own, so that neither ever waits for the other.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared import keys
from shared.candle import Fields
from shared.event import Event, read_event
from shared.trade_signal import Signal, read_signal

Alert = Signal | Event


@dataclass(frozen=True, slots=True)
class Source:
    """A stream of alerts.

    Attributes:
        noun: What an entry is, in words.
        read: Decodes an entry, or raises ``Malformed``.
        start: From when the age of an alert counts, in names of latencies.
        since: The same in words.
        part: Of the names under which a channel is counted; empty for signals.
    """

    noun: str
    stream: str
    read: Callable[[bytes, Fields], Alert]
    start: str
    since: str
    part: str

    def totals(self, channel: str) -> str:
        """The key of what the channel has delivered from here."""
        return keys.deliveries(":".join(filter(None, (channel, self.part))))

    def counted(self, channel: str) -> str:
        """The channel's name in counters and facts."""
        return "_".join(filter(None, (channel, self.part)))


SIGNALS = Source("signal", keys.SIGNALS, read_signal, "frame", "the candle was received", "")
EVENTS = Source("event", keys.EVENTS, read_event, "event", "it was told", "events")
