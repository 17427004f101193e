"""A channel whose peer is the test."""

import asyncio

from services.notifier.channels import Receipt, Recipient, recipient
from services.notifier.sources import Alert


class FakeLimiter:
    """Lets everybody through, but those in ``waits``: address → seconds, until removed."""

    def __init__(self) -> None:
        self.waits: dict[str, float] = {}
        self.asked = 0

    async def admit(self, recipient: Recipient) -> float:
        self.asked += 1
        return self.waits.get(recipient.address, 0.0)


class FakeChannel:
    """Accepts, or raises what the test wants; whoever is asked is noted.

    Attributes:
        troubles: What to raise for a signal ID and address, until removed.
    """

    def __init__(self, *addresses: str, name: str = "fake") -> None:
        self.name = name
        self.limiter = FakeLimiter()
        self.recipients: tuple[Recipient, ...] = tuple(map(recipient, addresses or ("one",)))
        self.timeout_seconds = 1.0
        self.asked: list[tuple[str, str]] = []
        self.accepted: list[tuple[str, str]] = []
        self.troubles: dict[tuple[str, str], Exception] = {}
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, alert: Alert, recipient: Recipient) -> Receipt:
        what = (alert.id, recipient.address)
        self.asked.append(what)
        await self.open.wait()
        if what in self.troubles:
            raise self.troubles[what]
        self.accepted.append(what)
        return Receipt("number")

    async def close(self) -> None:
        """Nothing is open."""
