"""One connection of the mail server, and where a fault strikes in its dialogue."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from aiosmtpd.smtp import SMTP, TLSSetupException

from sim.fault_plan import FaultPlan
from sim.mail_faults import WHOLE, MailFault, Stage
from sim.resets import reset

Note = Callable[[MailFault, Sequence[str]], None]


class Connection(SMTP):
    """aiosmtpd's connection, which we must be able to cut and to spoil.

    One fault at most is drawn for each mail: for the first when the connection is made.
    """

    fault: MailFault | None = None
    door = 0
    _unused = True
    _noted = False

    def register(
        self,
        faults: FaultPlan[MailFault],
        note: Note,
        heard_ns: dict[int, int],
        connections: "set[Connection]",
    ) -> None:
        """Meet ``faults``, say so to ``note``, and stand in ``connections`` while it lasts."""
        self._faults, self._note, self._heard_ns = faults, note, heard_ns
        self._among = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self not in self._among:  # after STARTTLS it is made once more
            self._among.add(self)
            self.door = transport.get_extra_info("sockname")[1]
            self._heard_ns[self.door] = time.time_ns()
            self.fault = self._faults.take(lambda fault: fault.at not in WHOLE)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._among.discard(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        if not await self._struck("greeting"):
            await super()._handle_client()

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802 -- aiosmtpd's names
        if not await self._struck("ehlo"):
            await super().smtp_EHLO(hostname)

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802
        if not await self._struck("ehlo"):
            await super().smtp_HELO(hostname)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        if not await self._struck("auth"):
            await super().smtp_AUTH(arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if not self._unused:
            self.fault = self._faults.take(lambda fault: not fault.before_mail)
            self._noted = False
        self._unused = False
        if not await self._struck("mail"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        address = (arg or "").partition("<")[2].partition(">")[0]
        if not await self._struck("rcpt", [address]):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        recipients = self.envelope.rcpt_tos if self.envelope else []
        if not await self._struck("data", recipients):
            await super().smtp_DATA(arg)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        """Go over to TLS, or end.

        asyncio does not tell a protocol that its connection is lost if that happens before the
        handshake is over: it only wakes whoever awaits the handshake, as if all was well.
        """
        await super().smtp_STARTTLS(arg)
        if self._tls_protocol is not None and (self.session is None or self.session.ssl is None):
            raise TLSSetupException

    async def _struck(self, stage: Stage, recipients: Sequence[str] = ()) -> bool:
        """Whether the fault of this mail strikes here; then it has."""
        fault = self.fault
        if fault is None or fault.at != stage or not fault.concerns(recipients):
            return False
        if not self._noted:  # a login is tried by each mechanism
            self._note(fault, recipients)
        self._noted = True
        if reply := await self.carry_out(fault):
            await self.push(reply)
            if stage == "greeting" or reply.startswith("421"):
                self.hang_up()
        return True

    async def carry_out(self, fault: MailFault) -> str:
        """Do what ``fault`` does; the reply that is left to give."""
        if fault.does == "silence":
            await asyncio.Event().wait()  # until the other side gives up
        if fault.does == "reset":
            reset(self.transport)
        elif fault.does == "drop":
            self.cut()
        return fault.reply

    def hang_up(self) -> None:
        """End the connection after what was said."""
        if self.transport is not None:
            self.transport.close()

    def cut(self) -> None:
        """Drop the connection at once."""
        if isinstance(self.transport, asyncio.WriteTransport):
            # Until Python 3.11.2 a TLS transport that is closed already cannot be aborted.
            with suppress(AttributeError):
                self.transport.abort()
