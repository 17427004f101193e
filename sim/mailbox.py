"""An SMTP server that keeps what it accepts, and misbehaves on request.

A mail counts as received once its text is stored; whether the sender ever learns of that is another
matter, and the scripted ``DROP_AFTER`` makes that difference visible.
"""

import asyncio
import time
from collections.abc import Collection
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException

from sim.certificates import make_certificates
from sim.script import Script

Mode = Literal["tls", "starttls", "plain"]

# Scripted in place of a reply: cut the connection with the mail stored, or without.
DROP_AFTER = "drop after"
DROP_BEFORE = "drop before"

_NOTICE_S = 0.5


@dataclass(frozen=True, slots=True)
class Mail:
    """One accepted mail; ``received_at_ns`` is wall time when its text had arrived."""

    received_at_ns: int
    sender: str
    recipients: tuple[str, ...]
    message_id: str
    subject: str
    signal_id: str
    event_id: str
    text: str


class Mailbox:
    """An SMTP server on loopback; ``async with`` opens it.

    Args:
        directory: for the certificates; needed unless mode is "plain".
        names: that the certificate holds beside those of loopback.
        mode: "tls" (implicit), "starttls" (required before anything else) or "plain".

    Attributes:
        mails: what was accepted, in order.
        answers: scripted replies to the next DATA ("451 4.3.0 try later", DROP_AFTER, DROP_BEFORE).
        refused: replies to RCPT by address ("550 5.1.1 no such user"), until removed.
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
        self._directory, self._names = directory, tuple(names)
        self._connections: set[_Connection] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        context = None
        if self._directory is not None and self.mode != "plain":
            certificates = make_certificates(self._directory, self._names)
            self.ca_file = certificates.ca_file
            context = certificates.server_context()
        desk = _Desk(self)

        def accept() -> SMTP:
            connection = _Connection(
                desk,
                loop=loop,
                hostname="localhost",
                ident="Simulated mailbox",
                enable_SMTPUTF8=True,
                tls_context=context if self.mode == "starttls" else None,
                require_starttls=self.mode == "starttls",
                # aiosmtpd sees no TLS where the socket itself is encrypted.
                auth_require_tls=self.mode == "starttls",
                authenticator=desk.authenticate,
            )
            connection.register(self._connections)
            return connection

        server = await loop.create_server(
            accept, self.host, self.port, ssl=context if self.mode == "tls" else None
        )
        self.port = server.sockets[0].getsockname()[1]
        async with AsyncExitStack() as stack:
            stack.callback(self._cut_all)
            stack.callback(server.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()
        # Let the connections notice that they are gone before the loop ends.
        with suppress(TimeoutError):
            async with asyncio.timeout(_NOTICE_S):
                while self._connections:  # noqa: ASYNC110 -- a handful of turns of the loop
                    await asyncio.sleep(0.001)

    def refuse(self, addresses: Collection[str], reply: str = "550 5.1.1 no such user") -> None:
        """Refuse these recipients from now on."""
        self.refused.update(dict.fromkeys(addresses, reply))

    def _cut_all(self) -> None:
        for connection in list(self._connections):
            connection.cut()


class _Connection(SMTP):
    """aiosmtpd's connection, which we must be able to cut."""

    def register(self, connections: "set[_Connection]") -> None:
        self._among = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._among.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._among.discard(self)
        super().connection_lost(error)

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802 -- aiosmtpd looks for this name
        """Go over to TLS, or end.

        asyncio does not tell a protocol that its connection is lost if that happens before the
        handshake is over: it only wakes whoever awaits the handshake, as if all was well.
        """
        await super().smtp_STARTTLS(arg)
        if self._tls_protocol is not None and (self.session is None or self.session.ssl is None):
            raise TLSSetupException

    def cut(self) -> None:
        """Drop the connection at once."""
        if isinstance(self.transport, asyncio.WriteTransport):
            # Until Python 3.11.2 a TLS transport that is closed already cannot be aborted.
            with suppress(AttributeError):
                self.transport.abort()


class _Desk:
    """aiosmtpd's hooks; their names are its own."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

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
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, server: _Connection, session: Session, envelope: Envelope
    ) -> str:
        received_at_ns = time.time_ns()
        scripted = self._mailbox.answers.take()
        if scripted in (None, DROP_AFTER) or scripted.startswith("2"):
            self._mailbox.mails.append(_read(envelope, received_at_ns))
        if scripted in (DROP_AFTER, DROP_BEFORE):
            server.cut()
        return scripted or f"250 2.0.0 OK: queued as {len(self._mailbox.mails)}"


def _read(envelope: Envelope, received_at_ns: int) -> Mail:
    content = envelope.content or b""
    raw = content.encode() if isinstance(content, str) else content
    message = message_from_bytes(raw, policy=policy.default)
    part = message.get_body(("plain",))
    return Mail(
        received_at_ns=received_at_ns,
        sender=envelope.mail_from or "",
        recipients=tuple(envelope.rcpt_tos),
        message_id=str(message["Message-ID"] or ""),
        subject=str(message["Subject"] or ""),
        signal_id=str(message["X-Signal-Id"] or ""),
        event_id=str(message["X-Event-Id"] or ""),
        text=str(part.get_content()) if part is not None else "",
    )
