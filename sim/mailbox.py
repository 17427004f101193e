"""An SMTP server that keeps what it accepts, and misbehaves on request.

A mail counts as received once its text is stored; whether the sender ever learns of that is another
matter, and the scripted ``DROP_AFTER`` makes that difference visible.
"""

import asyncio
import ssl
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sim.certificates import FLAWS, Flaw, make_certificates
from sim.fault_plan import FaultPlan, Incident
from sim.mail_connection import Connection
from sim.mail_faults import MAIL_FAULTS, PASSING_MAIL_FAULTS, MailFault
from sim.script import Script

Mode = Literal["tls", "starttls", "plain"]

# Scripted in place of a reply: cut the connection with the mail stored, or without.
DROP_AFTER = "drop after"
DROP_BEFORE = "drop before"

_NOTICE_S = 0.5
_BACKLOG = 1000
_AFTER_REPLY_S = 0.01


@dataclass(frozen=True, slots=True)
class Mail:
    """One accepted mail; ``received_at_ns`` is wall time when its text had arrived.

    Attributes:
        door: the port by which it came.
        fault: why the sender was not told that it was accepted; empty: it was.
    """

    received_at_ns: int
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    subject: str
    signal_id: str
    event_id: str
    text: str
    html: str = ""
    door: int = 0
    fault: str = ""


class Mailbox:
    """An SMTP server on loopback; ``async with`` opens it.

    Args:
        directory: for the certificates; needed unless mode is "plain".
        names: that the certificate holds beside those of loopback.
        mode: "tls" (implicit), "starttls" (required before anything else) or "plain".
        flaw: what is wrong with the certificate.
        doors: at how many ports to listen, so that senders can be told apart.

    Attributes:
        mails: what was accepted, in order.
        answers: scripted replies to the next DATA ("451 4.3.0 try later", DROP_AFTER, DROP_BEFORE).
        refused: replies to RCPT by address ("550 5.1.1 no such user"), until removed.
        greylisting: refuse each mail once for each recipient before it is taken.
        faults: what else goes wrong; see ``fail`` and ``sim.mail_faults``.
        incidents: the faults that were met, in order.
        ports: all of them; ``port`` is the first.
        heard_ns: by port, when somebody last came in by it, wall time.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        mode: Mode = "tls",
        user: str = "scanner",
        password: str = "secret",  # noqa: S107 -- a simulated account
        host: str = "127.0.0.1",
        port: int = 0,
        flaw: Flaw = "",
        doors: int = 1,
        names: Collection[str] = (),
    ) -> None:
        if mode != "plain" and directory is None:
            raise ValueError(f"mode {mode} needs a directory for its certificates")
        self.mode = mode
        self.user = user
        self.password = password
        self.host = host
        self.port = port
        self.ca_file: Path | None = None
        self.mails: list[Mail] = []
        self.answers: Script[str] = Script()
        self.refused: dict[str, str] = {}
        self.greylisting = False
        self.faults: FaultPlan[MailFault] = FaultPlan()
        self.incidents: list[Incident] = []
        self.ports: list[int] = [port] + [0] * (doors - 1)
        self._directory, self._names = directory, tuple(names)
        self.heard_ns: dict[int, int] = {}
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._context: ssl.SSLContext | None = None
        self._flawed: dict[Flaw, ssl.SSLContext] = {}
        self._flaw = self._own_flaw = flaw
        self._greylisted: set[tuple[str, str]] = set()

    async def __aenter__(self) -> Self:
        if self._directory is not None and self.mode != "plain":
            certificates = make_certificates(self._directory, also=self._names)
            self.ca_file = certificates.ca_file
            self._context = certificates.server_context()
            self._context.sni_callback = self._show_certificate  # called without SNI too
            self._flawed = {flaw: certificates.flawed_context(flaw) for flaw in FLAWS}
        await self._listen(self._context if self.mode == "tls" else None)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._close_doors()
        self._cut_all()
        # Let the connections notice that they are gone before the loop ends.
        with suppress(TimeoutError):
            async with asyncio.timeout(_NOTICE_S):
                while self._connections:  # noqa: ASYNC110 -- a handful of turns of the loop
                    await asyncio.sleep(0.001)

    async def _listen(self, context: ssl.SSLContext | None) -> None:
        desk, loop = _Desk(self), asyncio.get_running_loop()

        def accept() -> SMTP:
            connection = Connection(
                desk,
                loop=loop,
                hostname="localhost",
                ident="Simulated mailbox",
                enable_SMTPUTF8=True,
                tls_context=self._context if self.mode == "starttls" else None,
                require_starttls=self.mode == "starttls",
                # aiosmtpd sees no TLS where the socket itself is encrypted.
                auth_require_tls=self.mode == "starttls",
                authenticator=desk.authenticate,
            )
            connection.register(self.faults, self.note, self.heard_ns, self._connections)
            return connection

        for number, port in enumerate(self.ports):
            server = await loop.create_server(
                accept, self.host, port, ssl=context, backlog=_BACKLOG
            )
            self._servers.append(server)
            self.ports[number] = server.sockets[0].getsockname()[1]
        self.port = self.ports[0]

    def _close_doors(self) -> None:
        while self._servers:
            self._servers.pop().close()

    def _show_certificate(
        self, wire: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        if self._flaw:
            wire.context = self._flawed[self._flaw]

    async def fail(self, name: str, *, only: str = "") -> None:
        """Let every request meet a fault of ``sim.mail_faults``, until ``behave``.

        Args:
            name: of the fault.
            only: the recipient whom it concerns, empty for all.
        """
        fault = replace(MAIL_FAULTS[name], only=only)
        self._flaw = fault.flaw
        if fault.at == "listener":
            self._close_doors()
            if fault.open:
                await self._listen(None)
        elif fault.at != "certificate":
            self.faults.standing = fault
        if fault.before_mail:
            self._cut_all()  # else a connection that is open already never meets it

    def fail_at_random(self, seed: int, share: float) -> None:
        """Let this share of the mails fail, in all ways that pass."""
        self.faults.draw(PASSING_MAIL_FAULTS, seed=seed, share=share)

    async def behave(self) -> None:
        """End all faults."""
        self.faults.clear()
        self.answers.clear()
        self.refused.clear()
        self.greylisting, self._flaw = False, self._own_flaw
        self._close_doors()
        await self._listen(self._context if self.mode == "tls" else None)
        self._cut_all()

    def note(self, fault: MailFault, recipients: Sequence[str], key: str = "") -> None:
        """Record that a fault was met."""
        self.incidents.append(
            Incident(time.time_ns(), fault.name, tuple(recipients), key, fault.accepts)
        )

    def first_time(self, sender: str, recipient: str) -> bool:
        """Whether greylisting has not seen the two together."""
        if not self.greylisting or (sender, recipient) in self._greylisted:
            return False
        self._greylisted.add((sender, recipient))
        return True

    def refuse(self, addresses: Collection[str], reply: str = "550 5.1.1 no such user") -> None:
        """Refuse these recipients from now on."""
        self.refused.update(dict.fromkeys(addresses, reply))

    def open_at(self, door: int) -> int:
        """How many connections are open at this port."""
        return sum(connection.door == door for connection in self._connections)

    def _cut_all(self) -> None:
        for connection in list(self._connections):
            connection.cut()


class _Desk:
    """aiosmtpd's hooks; their names are its own."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_EHLO(  # noqa: N802
        self,
        server: Connection,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        fault = server.fault
        if fault is None or not fault.hides:
            return responses
        self._mailbox.note(fault, ())
        return [line for line in responses if not line[4:].startswith(fault.hides)]

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: Any
    ) -> AuthResult:
        expected = LoginPassword(self._mailbox.user.encode(), self._mailbox.password.encode())
        return AuthResult(success=login == expected, handled=False)

    async def handle_MAIL(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        mail_options: list[str],
    ) -> str:
        if not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        rcpt_options: list[str],
    ) -> str:
        refusal = self._mailbox.refused.get(address)
        if refusal is None and self._mailbox.first_time(envelope.mail_from or "", address):
            refusal = MAIL_FAULTS["451 to RCPT"].reply
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Connection, session: Session, envelope: Envelope
    ) -> str:
        received_at_ns = time.time_ns()
        fault = server.fault
        if fault is not None and fault.at == "body" and fault.concerns(envelope.rcpt_tos):
            return await self._fail(server, envelope, received_at_ns, fault)
        scripted = self._mailbox.answers.take()
        if scripted in (None, DROP_AFTER) or scripted.startswith("2"):
            withheld = scripted if scripted == DROP_AFTER else ""
            self._mailbox.mails.append(_read(envelope, received_at_ns, server.door, withheld))
        if scripted in (DROP_AFTER, DROP_BEFORE):
            server.cut()
        return scripted or f"250 2.0.0 OK: queued as {len(self._mailbox.mails)}"

    async def _fail(
        self, server: Connection, envelope: Envelope, received_at_ns: int, fault: MailFault
    ) -> str:
        mail = _read(envelope, received_at_ns, server.door, fault.name)
        if fault.accepts:
            self._mailbox.mails.append(mail)
        self._mailbox.note(fault, mail.recipients, mail.message_id)
        reply = await server.carry_out(fault)
        if reply.startswith("421"):
            asyncio.get_running_loop().call_later(_AFTER_REPLY_S, server.hang_up)
        return reply


def _read(envelope: Envelope, received_at_ns: int, door: int, fault: str) -> Mail:
    content = envelope.content or b""
    raw = content.encode() if isinstance(content, str) else content
    message = message_from_bytes(raw, policy=policy.default)
    part, marked = message.get_body(("plain",)), message.get_body(("html",))
    return Mail(
        received_at_ns=received_at_ns,
        sender=envelope.mail_from or "",
        recipients=tuple(envelope.rcpt_tos),
        message_id=str(message["Message-ID"] or ""),
        subject=str(message["Subject"] or ""),
        signal_id=str(message["X-Signal-Id"] or ""),
        event_id=str(message["X-Event-Id"] or ""),
        text=str(part.get_content()) if part is not None else "",
        html=str(marked.get_content()) if marked is not None else "",
        door=door,
        fault=fault,
    )
