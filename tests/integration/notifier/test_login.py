"""The login of the email channel: one try by one mechanism, and the password in no error."""

import asyncio
import base64
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.notifier.channels import Broken, TryAgain, Undelivered
from services.notifier.channels.email_channel import EmailChannel
from sim.certificates import make_certificates
from sim.mailbox import Mailbox

from .conftest import PASSWORD, WORDING, Bench, cut, fresh_signal, smtp


class LoginDesk:
    """Speaks SMTP as far as the login, and answers that as it is told."""

    def __init__(self, offers: str, reply: str) -> None:
        self.logins: list[str] = []
        self._offers, self._reply = offers, reply
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def listening(self, context: ssl.SSLContext) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await cut(self._writers)

    async def _serve(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._writers.append(back)
        back.write(b"220 desk ESMTP\r\n")
        while line := (await here.readline()).decode().strip():
            if line.startswith("EHLO"):
                back.write(f"250-desk\r\n250 {self._offers}\r\n".encode())
            elif line.startswith("AUTH"):
                _, mechanism, *_ = line.split()
                self.logins.append(mechanism)
                if mechanism != "PLAIN":
                    back.write(b"334 " + base64.b64encode(b"Password:") + b"\r\n")
                    await here.readline()
                back.write(f"{self._reply}\r\n".encode())
            else:
                back.write(b"503 5.5.1 log in first\r\n")
        back.close()


@asynccontextmanager
async def asked_by(bench: Bench, desk: LoginDesk) -> AsyncIterator[EmailChannel]:
    certificates = make_certificates(bench.folder / "desk")
    async with desk.listening(certificates.server_context()) as port:
        section = smtp(Mailbox(mode="plain"), port=port, ca_file=str(certificates.ca_file))
        settings = bench.settings(smtp=section)
        assert settings.smtp is not None
        email = EmailChannel(settings.smtp, WORDING)
        yield email
        await email.close()


async def failure(email: EmailChannel) -> Undelivered:
    with pytest.raises(Undelivered) as raised:
        await email.send(fresh_signal(), email.recipients[0])
    return raised.value


@pytest.mark.parametrize(
    ("offers", "used"),
    [
        ("AUTH CRAM-MD5 LOGIN PLAIN", "PLAIN"),
        ("AUTH LOGIN XOAUTH2", "LOGIN"),
        ("AUTH CRAM-MD5", "CRAM-MD5"),
    ],
)
async def test_a_wrong_password_is_one_failed_login_however_many_mechanisms_are_offered(
    bench: Bench, offers: str, used: str
) -> None:
    desk = LoginDesk(offers, "535 5.7.8 no")
    async with asked_by(bench, desk) as email:
        assert isinstance(await failure(email), Broken)
    assert desk.logins == [used]


@pytest.mark.parametrize("offers", ["AUTH XOAUTH2 GSSAPI", "SIZE 1000"])
async def test_a_server_without_a_usable_login_is_named(bench: Bench, offers: str) -> None:
    desk = LoginDesk(offers, "235 ok")
    async with asked_by(bench, desk) as email:
        failed = await failure(email)
    assert isinstance(failed, Broken)
    assert "offers no login" in failed.reason
    assert desk.logins == []


@pytest.mark.parametrize("code", [432, 454, 500, 501, 504, 530, 534, 535, 538, 550])
async def test_no_answer_to_a_login_shows_the_password_whatever_the_server_repeats(
    bench: Bench, code: int
) -> None:
    spoken = base64.b64encode(f"\0scanner\0{PASSWORD}".encode()).decode()
    desk = LoginDesk("AUTH PLAIN", f"{code} 5.7.8 {PASSWORD} or {spoken}")
    async with asked_by(bench, desk) as email:
        failed = await failure(email)
    assert isinstance(failed, TryAgain if code < 500 else Broken)
    told = "".join(traceback.format_exception(failed)) + failed.kind
    assert PASSWORD not in told
    assert spoken not in told
    assert str(code) in failed.reason


async def test_an_account_without_password_protection_needs_no_login(
    bench: Bench, tmp_path: Path
) -> None:
    async with Mailbox(tmp_path / "tls", password=PASSWORD) as box:
        settings = bench.settings(smtp=smtp(box, user="", password=""))
        assert settings.smtp is not None
        email = EmailChannel(settings.smtp, WORDING)
        failed = await failure(email)  # this mailbox wants one, and says so to MAIL
        assert "wants a login (530)" in failed.reason
