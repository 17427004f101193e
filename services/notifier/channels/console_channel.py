"""Alerts as text on standard output, for those who configured no other channel."""

import sys
import time

from services.notifier.channels import Receipt, Recipient, recipient
from services.notifier.sources import Alert
from services.notifier.wording import Wording

_RULE = "-" * 60


class ConsoleChannel:
    """Prints each alert."""

    name = "console"
    timeout_seconds = 5.0

    def __init__(self, wording: Wording) -> None:
        """Print in these words."""
        self._wording = wording
        self.recipients: tuple[Recipient, ...] = (recipient("stdout"),)

    async def send(self, alert: Alert, recipient: Recipient) -> Receipt:
        """Print the text of the email."""
        text = self._wording.letter(alert, time.time_ns() // 1_000_000).text
        sys.stdout.write(f"{_RULE}\n{text}\n{_RULE}\n")
        sys.stdout.flush()
        return Receipt(alert.id)

    async def close(self) -> None:
        """Nothing is open."""
