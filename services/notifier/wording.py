"""The one place where an alert of either kind becomes words. Pure."""

from dataclasses import dataclass

from services.notifier import event_message, message
from services.notifier.message import Periods
from services.notifier.sources import Alert
from shared.event import Event


@dataclass(frozen=True, slots=True)
class Wording:
    """What alerts show that they do not carry.

    Attributes:
        base: The market's base asset, ``BTC``.
    """

    periods: Periods
    base: str

    def subject(self, alert: Alert) -> str:
        """The subject of the email."""
        if isinstance(alert, Event):
            return event_message.subject(alert, self.base)
        return message.subject(alert)

    def email_text(self, alert: Alert) -> str:
        """The body of the email, also what the console shows."""
        if isinstance(alert, Event):
            return event_message.email_text(alert)
        return message.email_text(alert, self.periods)

    def telegram_text(self, alert: Alert) -> str:
        """The Telegram message, plain text."""
        if isinstance(alert, Event):
            return event_message.telegram_text(alert)
        return message.telegram_text(alert, self.periods)
