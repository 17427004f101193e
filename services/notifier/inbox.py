"""What delivery keeps in Redis: the group's pending list, the ledger, dead letters, totals.

All operations may be repeated after a lost reply, so they go through ``RedisAccess.patiently``.
Only totals of failures may then count twice, which nobody decides by.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from redis.exceptions import ResponseError

import shared
from services.notifier.channels import Receipt, Recipient
from services.notifier.dead_letter import DeadLetter
from services.notifier.decisions import REVIVED, REVIVED_IDLE_MS, Pending
from services.notifier.sources import Alert, Source
from shared import keys
from shared.events import EventsWriter
from shared.redis_access import RedisAccess
from shared.redis_client import COMMAND_TIMEOUT_S
from shared.steady import now_s

log = logging.getLogger(__name__)

T = TypeVar("T")

Entry = tuple[bytes, dict[bytes, bytes]]

_SCRIPTS = Path(shared.__file__).parent / "scripts"
# As a script, because that goes to the node that has the stream.
_CLOCK = "return redis.call('TIME')"
_PAGE = 1000
# Deliveries remembered here, should Redis lose its record of them: at 100 bytes each, a megabyte.
_MOST_REMEMBERED = 10_000


class Inbox:
    """One channel's view of a stream of alerts, under one consumer name."""

    def __init__(
        self,
        access: RedisAccess,
        source: Source,
        channel: str,
        consumer: str,
        *,
        ledger_ttl_ms: int,
        dead_maxlen: int,
        events: EventsWriter,
    ) -> None:
        """Nothing is read or created before the first operation."""
        self._access, self._source = access, source
        self._channel, self._consumer = channel, consumer
        self._ledger_ttl_ms, self._dead_maxlen = ledger_ttl_ms, dead_maxlen
        self._events = events
        self._delivered: dict[str, str] = {}
        self._settle = access.script((_SCRIPTS / "settle.lua").read_text())
        self._bury = access.script((_SCRIPTS / "bury.lua").read_text())
        self._clock = access.script(_CLOCK)

    async def create(self) -> None:
        """Make sure that the group exists; a new one begins with all that is retained."""

        async def create() -> None:
            try:
                await self._access.client.xgroup_create(
                    self._source.stream, self._channel, id="0", mkstream=True
                )
            except ResponseError as error:
                if not str(error).startswith("BUSYGROUP"):
                    raise

        await self._access.patiently(create)

    async def read(self, count: int, block_ms: int) -> list[Entry]:
        """Entries that nobody of the group has got yet, waiting up to ``block_ms`` for one."""
        reply = await self._grouped(
            lambda: self._access.client.xreadgroup(
                self._channel,
                self._consumer,
                {self._source.stream: ">"},
                count=count,
                block=block_ms,
            ),
            COMMAND_TIMEOUT_S + block_ms / 1000,
        )
        streams = cast("list[tuple[bytes, list[Entry]]]", reply)
        return [entry for _, entries in streams for entry in entries]

    async def pending(self) -> list[Pending]:
        """The group's unacknowledged entries, the oldest first."""
        found: list[Pending] = []
        while page := await self._page(found[-1].entry_id if found else None):
            found += page
        return found

    async def _page(self, after: bytes | None) -> list[Pending]:
        first = "-" if after is None else f"({after.decode()}"
        reply = await self._grouped(
            lambda: self._access.client.xpending_range(
                self._source.stream, self._channel, min=first, max="+", count=_PAGE
            )
        )
        rows = cast("list[dict[str, Any]]", reply)
        return [
            Pending(
                row["message_id"],
                row["consumer"].decode(),
                row["time_since_delivered"],
                row["times_delivered"],
            )
            for row in rows
        ]

    async def server_clock(self) -> tuple[float, float, float]:
        """Redis's clock, between two readings of ours: seconds, as asked, as shown, as answered."""

        async def ask() -> tuple[float, float, float]:
            asked_s = now_s()
            seconds, micros = await self._clock(keys=[self._source.stream], args=[])
            return asked_s, int(seconds) + int(micros) / 1_000_000, now_s()

        return await self._access.patiently(ask)

    async def claim(self, entry: Pending) -> Entry | None:
        """Take a pending entry as it was seen; None if somebody took it since.

        One that the stream does not keep any more has no fields.

        The idle time that was seen must not have shrunk: of several who want it, one gets it.
        What a person revived keeps the name by which this is known.
        """
        name = REVIVED if entry.consumer == REVIVED else self._consumer
        reply = await self._grouped(
            lambda: self._access.client.xclaim(
                self._source.stream,
                self._channel,
                name,
                min_idle_time=entry.idle_ms,
                message_ids=[entry.entry_id],
            )
        )
        claimed = cast("list[tuple[bytes, dict[bytes, bytes] | None]]", reply)
        if claimed:
            return claimed[0][0], claimed[0][1] or {}
        # Servers say nothing of an entry that is gone, and forget by themselves that it is pending.
        return None if await self._is_kept(entry.entry_id) else (entry.entry_id, {})

    async def _is_kept(self, entry_id: bytes) -> bool:
        client, stream = self._access.client, self._source.stream
        return bool(await self._access.patiently(lambda: client.xrange(stream, entry_id, entry_id)))

    async def put_back(self, entry_id: bytes, attempts: int, *, revived: bool = False) -> bool:
        """Leave an entry that is ours for later; its waiting begins now. False: it is gone.

        ``attempts`` is how many there were: reading or claiming counted one that may not have been.
        What a person ``revived`` is anybody's again, and at once.
        """
        name, idle_ms = (REVIVED, REVIVED_IDLE_MS) if revived else (self._consumer, 0)
        stream = self._source.stream
        left = await self._grouped(
            lambda: self._access.client.xclaim(
                stream, self._channel, name, 0, [entry_id],
                idle=idle_ms, retrycount=attempts, justid=True,
            )
        )  # fmt: skip
        return bool(left) or await self._is_kept(entry_id)

    async def acknowledge(self, entry_id: bytes) -> None:
        """The group is done with this entry."""
        await self._access.patiently(
            lambda: self._access.client.xack(self._source.stream, self._channel, entry_id)
        )

    async def missing(self, alert: Alert, recipients: Sequence[Recipient]) -> tuple[Recipient, ...]:
        """Those who do not have the alert according to the ledger, and as far as we remember.

        Redis may have lost the ledger (FLUSHALL, a failover), and whoever told it found it again.
        What we remember is then written again, for those who come after us.
        """
        ledger = [self._ledger(alert, recipient) for recipient in recipients]

        async def look() -> list[int]:
            async with self._access.client.pipeline(transaction=False) as pipe:
                for key in ledger:
                    pipe.exists(key)  # what it holds says nothing more, whoever wrote it
                return await pipe.execute()

        found = await self._access.patiently(look)
        absent = [key for key, there in zip(ledger, found, strict=True) if not there]
        for key in absent:
            if key in self._delivered:
                await self._record_again(key, self._delivered[key])
        return tuple(
            recipient
            for recipient, key in zip(recipients, ledger, strict=True)
            if key in absent and key not in self._delivered
        )

    def remembers(self, alert: Alert, recipient: Recipient) -> bool:
        """Whether this process has delivered it, as far as it remembers."""
        return self._ledger(alert, recipient) in self._delivered

    async def _record_again(self, key: str, text: str) -> None:
        await self._access.patiently(
            lambda: self._access.client.set(key, text, nx=True, px=self._ledger_ttl_ms)
        )

    async def settle(
        self,
        entry_id: bytes,
        alert: Alert,
        recipient: Recipient,
        recipients: Sequence[Recipient],
        *,
        receipt: Receipt,
        now_ms: int,
    ) -> bool:
        """Record a delivery; acknowledges, and answers True, when nobody is missing any more."""
        ledger, *others = self._ledgers(alert, recipient, recipients)
        written = [self._source.stream, self._source.totals(self._channel), ledger, *others]
        text = f"{now_ms} {receipt.message_id} {receipt.answer}".rstrip()
        arguments: list[str | bytes | int] = [
            self._channel,
            entry_id,
            self._ledger_ttl_ms,
            text,
            alert.id,
            now_ms,
            now_ms - alert.received_at_ms,
        ]
        self._remember(ledger, text)
        reply = await self._access.patiently(lambda: self._settle(keys=written, args=arguments))
        return bool(reply[1])

    async def bury(
        self,
        letter: DeadLetter,
        alert: Alert,
        recipient: Recipient,
        recipients: Sequence[Recipient],
    ) -> bool:
        """Write a delivery off as a dead letter; whether it was done now, by us.

        Acknowledges when nobody is missing any more.
        """
        ledger, *others = self._ledgers(alert, recipient, recipients)
        dead = keys.dead(self._channel)
        written = [self._source.stream, self._source.totals(self._channel), ledger, dead, *others]
        arguments: list[str | bytes | int] = [
            self._channel,
            letter.entry_id,
            self._ledger_ttl_ms,
            letter.record,
            self._dead_maxlen,
            *letter.fields(),
        ]
        reply = await self._access.patiently(lambda: self._bury(keys=written, args=arguments))
        return bool(reply[0] == b"buried")

    def _ledgers(
        self, alert: Alert, recipient: Recipient, recipients: Sequence[Recipient]
    ) -> list[str]:
        """The recipient's ledger entry, then those of the others."""
        others = [other for other in recipients if other != recipient]
        return [self._ledger(alert, each) for each in (recipient, *others)]

    def _remember(self, ledger: str, text: str) -> None:
        self._delivered[ledger] = text
        if len(self._delivered) > _MOST_REMEMBERED:
            del self._delivered[next(iter(self._delivered))]

    async def note_failure(self, reason: str, now_ms: int) -> None:
        """Count a failed attempt in the totals of the channel."""

        async def write() -> None:
            async with self._access.client.pipeline(transaction=True) as pipe:
                totals = self._source.totals(self._channel)
                pipe.hincrby(totals, "failed_attempts", 1)
                pipe.hset(totals, mapping={"last_failure": reason, "last_failure_at": now_ms})
                await pipe.execute()

        await self._access.aside(write)

    def _ledger(self, alert: Alert, recipient: Recipient) -> str:
        return keys.delivered(self._channel, alert.id, recipient.tag)

    async def _grouped(
        self, operation: Callable[[], Awaitable[T]], timeout: float = COMMAND_TIMEOUT_S
    ) -> T:
        """``patiently``, and a group that somebody deleted (FLUSHALL, DEL) is created again."""
        while True:
            try:
                return await self._access.patiently(operation, timeout)
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                group = f"the group {self._channel} of the {self._source.noun}s stream"
                log.warning("%s is gone; creating it", group)
                await self.create()
                await self._events.lost(group)
