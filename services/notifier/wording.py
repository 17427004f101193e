"""The one place where an alert of either kind becomes words. Pure."""

from dataclasses import dataclass

from services.notifier import event_message, message
from services.notifier.letter import Letter
from services.notifier.markup import Message
from services.notifier.message import Periods
from services.notifier.sources import Alert
from shared.event import Event
from shared.times import lasting


@dataclass(frozen=True, slots=True)
class Wording:
    """What alerts show that they do not carry.

    Attributes:
        base: The market's base asset, ``BTC``.
        late_after_s: An alert older than this when it is sent says so.
    """

    periods: Periods
    base: str
    late_after_s: float = 60.0

    def subject(self, alert: Alert, now_ms: int) -> str:
        """The subject of an email that is sent at ``now_ms``."""
        if isinstance(alert, Event):
            late_ms = self._late_ms(alert, now_ms)
            over = ", OVER" if alert.over else ""
            late = "" if late_ms is None else f"LATE {lasting(late_ms)}{over} "
            return f"{late}{event_message.subject(alert, self.base)}"
        return message.subject(alert, self._late_ms(alert, now_ms))

    def letter(self, alert: Alert, now_ms: int) -> Letter:
        """The email, whose text is also what the console shows."""
        if isinstance(alert, Event):
            return event_message.letter(alert, self._late_ms(alert, now_ms))
        return message.letter(alert, self.periods, self._late_ms(alert, now_ms))

    def telegram(self, alert: Alert, now_ms: int) -> Message:
        """The Telegram message."""
        if isinstance(alert, Event):
            return event_message.telegram_message(alert, self._late_ms(alert, now_ms))
        return message.telegram_message(alert, self.periods, self._late_ms(alert, now_ms))

    def _late_ms(self, alert: Alert, now_ms: int) -> int | None:
        """The alert's age, None while it is fresh."""
        age_ms = now_ms - alert.at_ms if isinstance(alert, Event) else alert.age_ms(now_ms)
        return age_ms if age_ms > self.late_after_s * 1000 else None
