"""Alerts by email: one mail for each recipient, over connections that are kept for the next.

Each is plain text with an HTML alternative of the same words.

The ``Message-ID`` follows from alert and recipient, so that the one repeat that cannot be excluded
(the process died between the server's acceptance and our record) is recognisable as a repeat.
"""

import asyncio
import hashlib
import re
import socket
import ssl
import time
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr

import aiosmtplib

from services.notifier.channels import Broken, Receipt, Recipient, Undelivered, recipient
from services.notifier.channels.email_answers import answer
from services.notifier.sources import Alert
from services.notifier.wording import Wording
from shared.event import Event
from shared.settings import Smtp

# Servers and firewalls drop idle connections, some without a word.
_SURE_ALIVE_S = 30.0
_NOOP_TIMEOUT_S = 5.0
_QUIT_TIMEOUT_S = 0.5
_KEPT_IDLE = 2
_LONGEST_ANSWER = 200

_NOT_ATOM = re.compile(r"[^A-Za-z0-9-]+")


def message_id(alert_id: str, address: str, from_email: str) -> str:
    """The same for the same alert and recipient, whoever sends it and whenever."""
    atoms = _NOT_ATOM.sub(".", alert_id).strip(".")
    tag = hashlib.sha256(address.encode()).hexdigest()[:12]
    return f"<{atoms}.{tag}@{bare(from_email).rpartition('@')[2]}>"


def bare(from_email: str) -> str:
    """The address alone of ``Name <me@example.com>``: the name is for the header only."""
    return parseaddr(from_email)[1]


def build_mail(
    alert: Alert, wording: Wording, *, from_email: str, to_email: str, now: datetime
) -> EmailMessage:
    """The whole mail, ready to be sent at ``now``."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = from_email
    mail["To"] = to_email
    now_ms = round(now.timestamp() * 1000)
    mail["Subject"] = wording.subject(alert, now_ms)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = message_id(alert.id, to_email, from_email)
    mail["X-Event-Id" if isinstance(alert, Event) else "X-Signal-Id"] = alert.id
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies, please
    # Quoted-printable survives every relay and keeps the figures readable in the source.
    letter = wording.letter(alert, now_ms)
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    # "=_" occurs in nothing that is quoted-printable; a repeat has the same.
    mail.set_boundary(f"=_{hashlib.sha256(mail['Message-ID'].encode()).hexdigest()[:32]}")
    return mail


class EmailChannel:
    """Sends by one mail server."""

    name = "email"

    def __init__(self, settings: Smtp, wording: Wording) -> None:
        """Prepare; nothing connects before the first mail."""
        self._settings, self._wording = settings, wording
        self._server = f"{settings.server}:{settings.port}"
        self._idle: list[tuple[aiosmtplib.SMTP, float]] = []
        self._tls: ssl.SSLContext | None = None
        self.recipients: tuple[Recipient, ...] = tuple(map(recipient, settings.to_email))
        self.timeout_seconds = settings.timeout_seconds

    async def send(self, alert: Alert, recipient: Recipient) -> Receipt:
        """See ``Channel.send``."""
        mail = build_mail(
            alert,
            self._wording,
            from_email=self._settings.from_email,
            to_email=recipient.address,
            now=datetime.now(UTC),
        )
        try:
            async with asyncio.timeout(self.timeout_seconds):
                answered = await self._send(mail, recipient)
        except (aiosmtplib.SMTPException, OSError, ValueError, Broken) as error:
            raise answer(error, self._server) from None  # its cause may quote the login
        return Receipt(mail["Message-ID"], " ".join(answered.split())[:_LONGEST_ANSWER])

    async def _send(self, mail: EmailMessage, recipient: Recipient) -> str:
        client = await self._connection()
        try:
            _, answered = await client.send_message(
                mail, sender=bare(self._settings.from_email), recipients=[recipient.address]
            )
        except (aiosmtplib.SMTPDataError, aiosmtplib.SMTPRecipientsRefused) as error:
            # The library has reset the dialogue. After 421 it believes in the connection, wrongly.
            self._keep(client, alive=getattr(error, "code", 0) != 421)
            raise
        except BaseException:
            client.close()
            raise
        self._keep(client, alive=True)
        return answered

    def _keep(self, client: aiosmtplib.SMTP, *, alive: bool) -> None:
        if alive and client.is_connected and len(self._idle) < _KEPT_IDLE:
            self._idle.append((client, time.monotonic()))
        else:
            client.close()

    async def _connection(self) -> aiosmtplib.SMTP:
        while self._idle:
            client, used = self._idle.pop()
            if await self._alive(client, idle_s=time.monotonic() - used):
                return client
            client.close()
        return await self._connect()

    @staticmethod
    async def _alive(client: aiosmtplib.SMTP, *, idle_s: float) -> bool:
        if not client.is_connected:
            return False
        if idle_s < _SURE_ALIVE_S:
            return True
        try:
            async with asyncio.timeout(_NOOP_TIMEOUT_S):
                await client.noop()
        except (aiosmtplib.SMTPException, OSError):
            return False
        except BaseException:
            client.close()
            raise
        return True

    async def _connect(self) -> aiosmtplib.SMTP:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.server,
            port=settings.port,
            use_tls=settings.use_ssl,
            start_tls=not settings.use_ssl,  # required, not "if offered": that could be stripped
            tls_context=self._trust(),
            local_hostname=socket.gethostname(),  # else the library asks the DNS for our name
            timeout=None,  # ``send`` bounds the whole; the library's own can lose cancellations
        )
        try:
            await client.connect()
            await self._login(client)
        except BaseException:
            client.close()
            raise
        return client

    async def _login(self, client: aiosmtplib.SMTP) -> None:
        """Log in by one mechanism; the library's own login tries all, and each counts as a failure.

        The connection is encrypted, so the simplest is as good as any, and every server has it.
        """
        settings = self._settings
        if not settings.user:
            return
        await client.ehlo()  # after STARTTLS the server may offer something else
        offered = client.supported_auth_methods if client.supports_extension("auth") else []
        ways = {"plain": client.auth_plain, "login": client.auth_login,
                "cram-md5": client.auth_crammd5}  # fmt: skip
        way = next((way for name, way in ways.items() if name in offered), None)
        if way is None:
            raise aiosmtplib.SMTPException("No AUTH mechanism that can be used is offered.")
        await way(settings.user, settings.password.get_secret_value())

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            try:
                self._tls = ssl.create_default_context(cafile=self._settings.ca_file)
            except OSError as error:
                raise Broken(
                    "smtp ca_file",
                    f"smtp.ca_file {self._settings.ca_file} cannot be used"
                    f" ({error.strerror or type(error).__name__}): it must be a PEM file",
                ) from None
        return self._tls

    async def close(self) -> None:
        """Say goodbye to the server, if it listens."""
        while self._idle:
            client, _ = self._idle.pop()
            try:
                async with asyncio.timeout(_QUIT_TIMEOUT_S):
                    await client.quit()
            except (aiosmtplib.SMTPException, OSError):
                pass
            finally:
                client.close()

    async def rehearse(self) -> list[Undelivered | None]:
        """Do all of a delivery but the mail: log in, name sender and recipients, take that back.

        Returns:
            For each recipient why the server does not take mail for them, None if it does.

        Raises:
            Undelivered: It takes none for anybody.
        """
        client: aiosmtplib.SMTP | None = None
        try:
            client = await self._connect()
            await client.mail(bare(self._settings.from_email))
            verdicts = [await self._accepts(client, each) for each in self.recipients]
            await client.rset()
            await client.quit()
        except (aiosmtplib.SMTPException, OSError, ValueError, Broken) as error:
            raise answer(error, self._server) from None
        finally:
            if client is not None:
                client.close()
        return verdicts

    async def _accepts(self, client: aiosmtplib.SMTP, person: Recipient) -> Undelivered | None:
        try:
            await client.rcpt(person.address)
        except aiosmtplib.SMTPRecipientRefused as error:
            return answer(error, self._server)
        return None
