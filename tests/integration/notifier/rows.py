"""One notifier process and its peer, taken through rows of a table of answers one by one."""

import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from redis.asyncio import Redis

from cli.embedded_redis import redis_server
from services.notifier.channels import recipient
from services.notifier.channels.answers import Row
from shared import keys
from shared.trade_signal import Signal
from sim.bot_api import BotApi
from sim.mailbox import Mailbox
from tests.service_process import Process
from tests.waiting import wait_until

from .conftest import Bench, fresh_signal

FIRST_MAIL, SECOND_MAIL = "trader@example.org", "other@example.org"
FIRST_CHAT, SECOND_CHAT, NEW_CHAT = -4242, 4343, -100_4242

PATIENCE: dict[str, object] = {"retry_base_seconds": 0.05, "retry_max_seconds": 0.2}
TIMEOUT_S = 3.0
# Faults of which the peer knows nothing, or nothing but what follows.
UNSEEN = (
    "refused",
    "plain text",
    "expired certificate",
    "self-signed certificate",
    "certificate of another",
    "moved",
)
START_S = 60.0
STEP_S = 30.0


def signal_of(number: int) -> Signal:
    """Each is told from the others by its price, however the alert is worded."""
    return fresh_signal(number % 250, entry=100_000.0 + number)


def price_of(signal: Signal) -> str:
    return f"{signal.entry:,.2f}"


class Peer(Protocol):
    """A simulated peer of one channel; it has two recipients, and the faults concern the first."""

    channel: str
    recipients: tuple[str, str]

    async def fail(self, fault: str, *, one: bool) -> None:
        """Begin a fault, for the first recipient only where ``one``."""

    async def behave(self) -> None:
        """End it."""

    def met(self) -> int:
        """How many faults were met so far."""

    def copies(self, signal: Signal) -> dict[str, list[bool]]:
        """By recipient: whether the sender was told, for each copy that was accepted."""

    def is_plain(self, signal: Signal) -> bool:
        """Whether the last copy has no markup."""


@dataclass
class MailPeer:
    """The mailbox."""

    box: Mailbox
    channel: str = "email"
    recipients: tuple[str, str] = (FIRST_MAIL, SECOND_MAIL)

    async def fail(self, fault: str, *, one: bool) -> None:
        await self.box.fail(fault, only=FIRST_MAIL if one else "")

    async def behave(self) -> None:
        await self.box.behave()

    def met(self) -> int:
        return len(self.box.incidents)

    def copies(self, signal: Signal) -> dict[str, list[bool]]:
        found: dict[str, list[bool]] = {name: [] for name in self.recipients}
        ids = set()
        for mail in self.box.mails:
            if mail.signal_id == signal.id:
                found[mail.recipients[0]].append(not mail.fault)
                ids.add((mail.recipients, mail.message_id))
        assert len(ids) == sum(map(bool, found.values())), "a repeat has another Message-ID"
        return found

    def is_plain(self, signal: Signal) -> bool:
        return True


@dataclass
class BotPeer:
    """The Bot API."""

    api: BotApi
    channel: str = "telegram"
    recipients: tuple[str, str] = (str(FIRST_CHAT), str(SECOND_CHAT))

    async def fail(self, fault: str, *, one: bool) -> None:
        if fault == "moved":
            self.api.move(FIRST_CHAT, NEW_CHAT)
        else:
            await self.api.fail_by(fault, only=FIRST_CHAT if one else 0)

    async def behave(self) -> None:
        await self.api.behave()

    def met(self) -> int:
        return len(self.api.incidents)

    def copies(self, signal: Signal) -> dict[str, list[bool]]:
        found: dict[str, list[bool]] = {name: [] for name in self.recipients}
        for message in self.api.messages:
            if price_of(signal) in message.text:
                chat = FIRST_CHAT if message.chat_id == NEW_CHAT else message.chat_id
                found[str(chat)].append(not message.fault)
        return found

    def is_plain(self, signal: Signal) -> bool:
        sent = [m for m in self.api.messages if price_of(signal) in m.text]
        return any(not m.parse_mode and "<b>" not in m.text for m in sent)


@dataclass
class Rig:
    """Everything for rows of one table."""

    bench: Bench
    peer: Peer
    process: Process | None = None
    _number: int = 0
    _log_from: int = 0
    failures: list[str] = field(default_factory=list)

    async def emit(self) -> tuple[bytes, Signal]:
        self._number += 1
        signal = signal_of(self._number)
        [entry_id] = await self.bench.emit(signal)
        return entry_id, signal

    @property
    def log(self) -> str:
        return "".join(process.log for process in self.bench.processes)

    async def until(self, condition: Callable[[], Any], what: str, seconds: float = STEP_S) -> None:
        await wait_until(condition, what, seconds)

    async def is_pending(self, entry_id: bytes) -> bool:
        rows = await self.bench.pending(self.peer.channel)
        return any(row["message_id"] == entry_id for row in rows)

    async def told(self, state: str) -> int:
        """How many events tell that the channel is in this state."""
        rows: Any = await self.bench.redis.xrange(keys.EVENTS)
        subject = f"channel:{self.peer.channel}".encode()
        return sum(
            fields.get(b"subject") == subject and fields.get(b"state") == state.encode()
            for _, fields in rows
        )

    async def trouble(self) -> bytes:
        found: Any = await self.bench.redis.hget(keys.TROUBLES, f"channel:{self.peer.channel}")
        return bytes(found or b"")

    async def dead_letters(self, signal: Signal) -> list[dict[bytes, bytes]]:
        rows: Any = await self.bench.redis.xrange(keys.dead(self.peer.channel))
        return [fields for _, fields in rows if fields.get(b"id") == signal.id.encode()]

    async def until_meant(self, row: Row) -> None:
        """Until the notifier gives the reason of this row."""
        parts = re.split(r"(\{\w+\})", row.means)
        pattern = "".join(".*" if part.startswith("{") else re.escape(part) for part in parts)

        async def given() -> bool:
            totals = keys.deliveries(self.peer.channel)
            last: Any = await self.bench.redis.hget(totals, "last_failure")
            return bool(re.search(pattern, (last or b"").decode() + self.log[self._log_from :]))

        await self.until(given, f"the reason {row.means!r}")

    async def take(self, row: Row, fault: str, seconds: float = STEP_S) -> None:
        """Provoke ``row`` by ``fault``, end the fault, and check what follows.

        Raises:
            AssertionError: Something else followed.
        """
        self._log_from = len(self.log)
        broken_before, met_before = await self.told("broken"), self.peer.met()
        await self.peer.fail(fault, one=row.then == "refused")
        entry_id, signal = await self.emit()
        try:
            if row.then not in ("plain", "moved"):
                await self.until_meant(row)
            if fault not in UNSEEN:
                await self.until(lambda: self.peer.met() > met_before, "the fault to be met")
            await self._check_during(row, entry_id, signal, broken_before)
        finally:
            await self.peer.behave()
        await self._check_after(row, entry_id, signal, broken_before, seconds)

    async def _check_during(
        self, row: Row, entry_id: bytes, signal: Signal, broken_before: int
    ) -> None:
        if row.then == "again":
            assert await self.is_pending(entry_id)
        elif row.then == "broken":
            await self.until_broken(broken_before)
            second, _ = await self.emit()
            await self.until(lambda: self.is_pending(second), "the second to be held back")
            assert await self.is_pending(entry_id)
            assert not any(self.peer.copies(signal).values())
            assert await self.told("broken") == broken_before + 1
        elif row.then == "refused":
            await self.until_dead(signal, self.peer.recipients[:1])

    async def until_broken(self, broken_before: int) -> None:
        async def stands() -> bool:
            return (await self.trouble()).startswith(b"broken ")

        await self.until(stands, f"the trouble channel:{self.peer.channel}")
        await self.until(
            lambda: self.bench.redis.exists(keys.gate(self.peer.channel)), "the gate to stand"
        )
        ttl_ms = await self.bench.redis.pttl(keys.gate(self.peer.channel))
        assert ttl_ms <= 200
        assert await self.told("broken") == broken_before + 1

    async def until_dead(self, signal: Signal, addresses: tuple[str, ...]) -> None:
        """Until just these have a dead letter of it."""
        tags = sorted(recipient(address).tag.encode() for address in addresses)

        async def dead() -> bool:
            letters = await self.dead_letters(signal)
            assert all({b"reason", b"attempts"} <= letter.keys() for letter in letters)
            return sorted(letter[b"recipient"] for letter in letters) == tags

        await self.until(dead, f"dead letters for {tags}")

    async def _check_after(
        self, row: Row, entry_id: bytes, signal: Signal, broken_before: int, seconds: float
    ) -> None:
        first, second = self.peer.recipients
        if row.after_seconds is not None:
            await self._end_pause(row.after_seconds, signal, seconds)
        if row.then == "refused":
            await self.until_settled(entry_id, seconds)
            _, later = await self.emit()
            await self.until_all_have(later)
            assert self.peer.copies(signal)[first] == []
            assert self.peer.copies(signal)[second] == [True]
            return
        await self.until_all_have(signal, seconds)
        await self.until_settled(entry_id, seconds)
        for told in self.peer.copies(signal).values():
            assert told.count(True) == 1, f"accepted and told so {told.count(True)} times"
        if row.then == "plain":
            assert self.peer.is_plain(signal)
        if row.then == "broken":
            await self.until(self._recovered, "the channel to be told recovered")
            assert await self.told("broken") == broken_before + 1

    async def _end_pause(self, pause_s: float, signal: Signal, seconds: float) -> None:
        """See that the channel pauses for so long, and let that be over."""
        gate = keys.gate(self.peer.channel)
        await self.until(lambda: self.bench.redis.exists(gate), "the channel to pause")
        assert (pause_s - STEP_S / 2) * 1000 < await self.bench.redis.pttl(gate) <= pause_s * 1000

        async def sent() -> bool:
            # Again and again: each recipient was told to wait, one a little after the other.
            await self.bench.redis.delete(gate)
            return self._all_have(signal)

        await self.until(sent, "everybody to have it after the pause", seconds)

    async def _recovered(self) -> bool:
        return not await self.trouble() and await self.told("recovered") == await self.told(
            "broken"
        )

    async def until_all_have(self, signal: Signal, seconds: float = STEP_S) -> None:
        await self.until(lambda: self._all_have(signal), "everybody to have it", seconds)

    def _all_have(self, signal: Signal) -> bool:
        return all(any(told) for told in self.peer.copies(signal).values())

    async def until_settled(self, entry_id: bytes, seconds: float = STEP_S) -> None:
        async def settled() -> bool:
            return not await self.is_pending(entry_id)

        await self.until(settled, "the signal to be acknowledged", seconds)

    async def begin(self) -> None:
        """Until the notifier delivers."""
        _, signal = await self.emit()
        await self.until_all_have(signal, START_S)

    async def walk(self, rows: list[tuple[Row, str]], seconds: float = STEP_S) -> None:
        """Take all, and note which fail."""
        for row, fault in rows:
            try:
                await self.take(row, fault, seconds)
            except AssertionError as error:
                said = str(error).splitlines()[0] if str(error) else "something else followed"
                self.failures.append(f"{self.peer.channel}: {row.when} [{fault}]: {said}")
                await self.peer.behave()


@contextlib.asynccontextmanager
async def rig(folder: Path, peer: Peer, **sections: object) -> AsyncIterator[Rig]:
    """A Redis and a notifier of their own."""
    folder.mkdir(parents=True)
    with redis_server() as server:
        redis = Redis.from_url(server.url, protocol=2)
        bench = Bench(redis, server.url, folder)
        made = Rig(bench, peer)
        try:
            if sections:
                config = bench.config(notifier=PATIENCE, **sections)
                made.process = await bench.start(config)
                await made.begin()
            yield made
        finally:
            await bench.close()
            await redis.aclose()
