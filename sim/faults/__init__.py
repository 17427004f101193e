"""How the exchange can misbehave: every fault by name, each bounded by a count or a time.

Names that end in ``_ms`` mean market time, ``_s`` wall time: what a client waits for with its own
clock is wall time. While the market's clock stands (before the first subscription, and after the
end of the candles), a span of market time passes as wall time too, so that everything has an end.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from sim.faults.catalogue import FAULTS, UnknownFault, check_fault
from sim.faults.connections import ConnectionFaults
from sim.faults.frames import FrameFaults
from sim.faults.rest import RestFaults, answer_of
from sim.faults.times import TimeFaults
from sim.schedule import Fault
from sim.script import Script

__all__ = ["FAULTS", "Faults", "UnknownFault", "answer_of", "check_fault"]


class Faults(ConnectionFaults, FrameFaults, RestFaults, TimeFaults):
    """The misbehaviour of an exchange whose parts are given."""

    def __init__(self, *, lifetime_ms: int | None, rest_lag_ms: int) -> None:
        super().__init__(lifetime_ms=lifetime_ms)
        self.usual_lag_ms = rest_lag_ms

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
        self.end_faults(bounded_only=False)
