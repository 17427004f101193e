"""A delivery that was written off: what ``dead:{signals}:<channel>`` holds of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.candle import Fields

PREFIX = "alert_"
"""Before the names of the alert's own fields, which a dead letter carries too."""


DEAD = b"dead"
"""What the delivery ledger says of it instead of a message ID: ``<ms> dead``."""


def says_dead(record: bytes) -> bool:
    """Whether a ledger entry stands for a dead letter, which somebody may have dropped since."""
    return DEAD in record.split(b" ", 2)[:2]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One alert that one recipient did not get.

    Attributes:
        alert_id: Of the signal or event.
        stream: Where the alert stands, or stood.
        entry_id: Its entry there.
        recipient: The recipient's tag.
        reason: Why, in a sentence.
        attempts: How often it was tried.
        at_ms: When it was written off, ms UTC.
        alert: The fields of its entry.
    """

    channel: str
    alert_id: str
    stream: str
    entry_id: bytes
    recipient: str
    reason: str
    attempts: int
    at_ms: int
    alert: Fields

    @property
    def sentence(self) -> str:
        """For people; the first field of the stream entry."""
        tries = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        return (
            f"{self.alert_id} not delivered by {self.channel} to {self.recipient}"
            f" after {tries}: {self.reason}"
        )

    @property
    def record(self) -> bytes:
        """As the delivery ledger has it."""
        return b"%d %b" % (self.at_ms, DEAD)

    def fields(self) -> list[str | bytes]:
        """Flat field, value, ... as the stream entry holds them."""
        own: Mapping[str, str | bytes] = {
            "dead": self.sentence,
            "id": self.alert_id,
            "source": self.stream,
            "entry": self.entry_id,
            "recipient": self.recipient,
            "reason": self.reason,
            "attempts": str(self.attempts),
            "at": str(self.at_ms),
        }
        flat: list[str | bytes] = [text for pair in own.items() for text in pair]
        for name, text in self.alert.items():
            flat += (PREFIX.encode() + name, text)
        return flat
