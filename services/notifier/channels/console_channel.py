"""Alerts as text on standard output, for those who configured no other channel."""

import sys

from services.notifier import message
from services.notifier.channels import Receipt, Recipient, recipient
from shared.trade_signal import Signal

_RULE = "-" * 60


class ConsoleChannel:
    """Prints each alert."""

    name = "console"
    timeout_seconds = 5.0

    def __init__(self, periods: message.Periods) -> None:
        """Show these periods."""
        self._periods = periods
        self.recipients: tuple[Recipient, ...] = (recipient("stdout"),)

    async def send(self, signal: Signal, recipient: Recipient) -> Receipt:
        """Print the text of the email."""
        text = message.email_text(signal, self._periods)
        sys.stdout.write(f"{_RULE}\n{text}\n{_RULE}\n")
        sys.stdout.flush()
        return Receipt(signal.id)

    async def close(self) -> None:
        """Nothing is open."""
