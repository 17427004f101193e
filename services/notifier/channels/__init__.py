"""A channel takes an alert to its recipients; one module for each kind of channel.

Nothing but the channel's own module knows the library behind it: its errors arrive here as
``TryAgain``, ``Refused`` or ``Broken``. The libraries are imported only where a channel is on.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from services.notifier.sources import Alert


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who gets every alert of a channel.

    Attributes:
        tag: Names the recipient in keys and logs without naming the person.
    """

    tag: str
    address: str


def recipient(address: str) -> Recipient:
    """The recipient at an email address or in a chat."""
    return Recipient(hashlib.sha256(address.encode()).hexdigest()[:8], address)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The peer accepted the alert, as this message.

    Attributes:
        answer: The peer's words, on one line.
    """

    message_id: str
    answer: str = ""


class Undelivered(Exception):
    """An alert was not accepted.

    Attributes:
        kind: Short and the same for like failures, so that logs can be thinned by it.
        reason: One sentence for people, free of secrets.
    """

    def __init__(self, kind: str, reason: str) -> None:
        """See the attributes."""
        super().__init__(reason)
        self.kind, self.reason = kind, reason


class TryAgain(Undelivered):
    """It may work later.

    Attributes:
        after_seconds: How long the peer wants us to wait, None if it does not say.
    """

    def __init__(self, kind: str, reason: str, after_seconds: float | None = None) -> None:
        """See the attributes."""
        super().__init__(kind, reason)
        self.after_seconds = after_seconds


class Refused(Undelivered):
    """This recipient will not get this alert, however often it is tried; the reason says why."""


class Broken(Undelivered):
    """The channel works for nobody before a person changed something; the reason names what."""


class Channel(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Also the name of the consumer groups."""

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """Everybody who gets each alert, each with a ledger entry of their own."""

    @property
    def timeout_seconds(self) -> float:
        """No ``send`` takes longer."""

    async def send(self, alert: Alert, recipient: Recipient) -> Receipt:
        """Take the alert to one recipient.

        Raises:
            TryAgain: Not now.
            Refused: This recipient never.
            Broken: Nobody, before a person did something.
        """

    async def close(self) -> None:
        """Give connections back; quick, also when the peer hangs."""
