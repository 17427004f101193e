"""The two peers, one door for each replica, and what they know in terms of the account."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.settings import Telegram
from shared.trade_signal import Signal, example_signal
from sim.bot_api import BotApi
from sim.mailbox import Mailbox
from soak.account import Accepted

ADDRESSES = ("trader@example.org", "other@example.org")
CHATS = (4242, -100_4343)
RECIPIENTS = tuple(
    [("email", address) for address in ADDRESSES] + [("telegram", str(chat)) for chat in CHATS]
)

_FIRST_PRICE = 100_000
_PRICE = re.compile(r"\$([1-9]\d\d,\d\d\d)\.\d\d")
_INTERVAL_MS = 300_000
_FIRST_CLOSE_MS = 1_262_304_000_000
_SETTLE_S = 2.0


def make_signal(number: int, now_ms: int) -> Signal:
    """The signal of this number; its price tells it from the others, however it is worded."""
    return example_signal(
        close_time_ms=_FIRST_CLOSE_MS + number * _INTERVAL_MS,
        entry=float(_FIRST_PRICE + number),
        received_at_ms=now_ms,
    )


def number_of(signal_id: str) -> int:
    """The number of the signal with this ID."""
    return (int(signal_id.rpartition(":")[2]) - _FIRST_CLOSE_MS) // _INTERVAL_MS


def _number_in(text: str) -> int | None:
    found = _PRICE.search(text)
    return int(found[1].replace(",", "")) - _FIRST_PRICE if found else None


@dataclass
class Peers:
    """Mailbox and Bot API."""

    mailbox: Mailbox
    bot_api: BotApi
    _mails_read: int = 0
    _messages_read: int = 0

    def __post_init__(self) -> None:
        self._accepted: list[Accepted] = []

    def fail_at_random(self, seed: int, share: float) -> None:
        """Let this share of all requests fail, in all ways that pass."""
        self.mailbox.fail_at_random(seed, share)
        self.bot_api.fail_at_random(seed + 1, share)

    async def behave(self) -> None:
        """End all faults."""
        await self.mailbox.behave()
        await self.bot_api.behave()

    def accepted(self) -> list[Accepted]:
        """All messages of signals that were accepted so far."""
        mails, self._mails_read = self.mailbox.mails[self._mails_read :], len(self.mailbox.mails)
        for mail in mails:
            if mail.signal_id:
                late = "LATE" in mail.subject or "LATE" in mail.text
                self._accepted.append(
                    Accepted("email", mail.recipients[0], number_of(mail.signal_id),
                             mail.received_at_ns, mail.door, mail.fault, mail.message_id, late)
                )  # fmt: skip
        messages = self.bot_api.messages[self._messages_read :]
        self._messages_read = len(self.bot_api.messages)
        for message in messages:
            if (number := _number_in(message.text)) is not None:
                self._accepted.append(
                    Accepted("telegram", str(message.chat_id), number, message.received_at_ns,
                             message.door, message.fault, late="LATE" in message.text)
                )  # fmt: skip
        return self._accepted

    def first_seen(self, channel: str, recipient: str) -> dict[int, int]:
        """Signal number → when the peer first heard of it, accepted or not.

        A mail that failed before its text was sent cannot be told from others.
        """
        seen: dict[int, int] = {}
        mails = {}
        for each in self.accepted():
            if (each.channel, each.recipient) == (channel, recipient):
                seen[each.number] = min(each.at_ns, seen.get(each.number, each.at_ns))
                mails[each.message_id] = each.number
        peer: Any = self.mailbox if channel == "email" else self.bot_api
        for incident in peer.incidents:
            if recipient in incident.recipients and incident.key:
                known = mails.get(incident.key) if channel == "email" else _number_in(incident.key)
                if known is not None:
                    seen[known] = min(incident.at_ns, seen.get(known, incident.at_ns))
        return seen

    def doors(self, replica: int) -> tuple[int, int]:
        """The ports by which the replica comes to mailbox and Bot API."""
        return self.mailbox.ports[replica], int(self.bot_api.urls[replica].rpartition(":")[2])

    def heard_since(self, replica: int, since_ns: int) -> bool:
        """Whether the replica has spoken to both."""
        mail, bot = self.doors(replica)
        heard = self.mailbox.heard_ns.get(mail, 0), self.bot_api.heard_ns.get(bot, 0)
        return min(heard) >= since_ns

    async def hear_out(self, replica: int) -> None:
        """Until both have dealt with all that a dead replica had said."""
        mail, bot = self.doors(replica)
        deadline = asyncio.get_running_loop().time() + _SETTLE_S
        while self.mailbox.open_at(mail) or self.bot_api.open_at(bot):
            if asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.002)

    def sections(self, replica: int, pace: dict[str, int]) -> dict[str, Any]:
        """The sections ``smtp`` and ``telegram`` of a replica's configuration."""
        box = self.mailbox
        limits = {name: value for name, value in pace.items() if name in Telegram.model_fields}
        return {
            "smtp": {
                "server": box.host, "port": box.ports[replica], "user": box.user,
                "password": box.password, "from_email": "scanner@example.com",
                "to_email": list(ADDRESSES), "use_ssl": True, "ca_file": str(box.ca_file),
                "timeout_seconds": TIMEOUT_S,
            },
            "telegram": {
                "enabled": True, "bot_token": self.bot_api.token, "chat_id": list(CHATS),
                "api_url": self.bot_api.urls[replica], "timeout_seconds": TIMEOUT_S, **limits,
            },
        }  # fmt: skip


TIMEOUT_S = 5.0
# The limits of the real Telegram would make this a test of patience.
PACE = {
    "messages_per_second": 1000,
    "chat_messages_per_second": 1000,
    "group_messages_per_minute": 1000,
}


@asynccontextmanager
async def open_peers(folder: Path, replicas: int) -> AsyncIterator[Peers]:
    """Both peers with a door for each replica."""
    async with (
        Mailbox(folder, doors=replicas) as mailbox,
        BotApi(chats=CHATS, doors=replicas) as bot_api,
    ):
        yield Peers(mailbox, bot_api)
