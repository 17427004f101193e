"""The mailbox, seen by aiosmtplib."""

import asyncio
import ssl
import time
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from sim.mailbox import DROP_AFTER, DROP_BEFORE, Mailbox
from sim.resets import reset

TO = "trader@example.org"


def mail(number: int = 1) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "scanner@example.org"
    message["To"] = TO
    message["Subject"] = "[BTC SCALP] LONG Signal - 5m"
    message["Message-ID"] = f"<{number}@example.org>"
    message["X-Signal-Id"] = f"BTCUSDT:5m:LONG:{number}"
    message.set_content("🟢 BTC/USD Scalping Signal Detected\n")
    return message


def login(mailbox: Mailbox, **changed: Any) -> dict[str, Any]:
    context = None
    if mailbox.ca_file is not None:
        context = ssl.create_default_context(cafile=mailbox.ca_file)
    return {
        "hostname": mailbox.host,
        "port": mailbox.port,
        "username": mailbox.user,
        "password": mailbox.password,
        "use_tls": mailbox.mode == "tls",
        "start_tls": mailbox.mode == "starttls",
        "tls_context": context,
        "local_hostname": "localhost",
        "timeout": 5,
    } | changed


@pytest.fixture(params=["tls", "starttls", "plain"])
def mode(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_a_mail_is_kept_as_it_was_sent(tmp_path: Path, mode: Any) -> None:
    began_ns = time.time_ns()
    async with Mailbox(tmp_path, mode=mode) as mailbox:
        await aiosmtplib.send(mail(), **login(mailbox))
        kept = mailbox.mails[0]
    assert began_ns < kept.received_at_ns < time.time_ns()
    assert kept.sender == "scanner@example.org"
    assert kept.recipients == (TO,)
    assert kept.message_id == "<1@example.org>"
    assert kept.subject == "[BTC SCALP] LONG Signal - 5m"
    assert kept.signal_id == "BTCUSDT:5m:LONG:1"
    assert kept.text.strip() == "🟢 BTC/USD Scalping Signal Detected"


async def test_one_connection_carries_many_mails(tmp_path: Path, mode: Any) -> None:
    async with Mailbox(tmp_path, mode=mode) as mailbox:
        async with aiosmtplib.SMTP(**login(mailbox)) as client:
            for number in range(20):
                await client.send_message(mail(number))
        assert [kept.message_id for kept in mailbox.mails] == [
            f"<{number}@example.org>" for number in range(20)
        ]


async def test_strangers_are_refused(tmp_path: Path, mode: Any) -> None:
    async with Mailbox(tmp_path, mode=mode) as mailbox:
        with pytest.raises(aiosmtplib.SMTPAuthenticationError) as wrong:
            await aiosmtplib.send(mail(), **login(mailbox, password="wrong"))
        assert wrong.value.code == 535
        with pytest.raises(aiosmtplib.SMTPSenderRefused) as none:
            await aiosmtplib.send(mail(), **login(mailbox, username=None, password=None))
        assert none.value.code == 530
        assert mailbox.mails == []


async def test_a_certificate_of_an_unknown_authority_is_noticed(tmp_path: Path) -> None:
    async with Mailbox(tmp_path) as mailbox:
        with pytest.raises(aiosmtplib.SMTPConnectError):
            await aiosmtplib.send(mail(), **login(mailbox, tls_context=None))


async def test_starttls_cannot_be_left_out(tmp_path: Path) -> None:
    async with Mailbox(tmp_path, mode="starttls") as mailbox:
        with pytest.raises(aiosmtplib.SMTPException):
            await aiosmtplib.send(mail(), **login(mailbox, start_tls=False))
        assert mailbox.mails == []


async def test_scripted_replies_are_given_in_turn(tmp_path: Path) -> None:
    async with Mailbox(tmp_path) as mailbox:
        mailbox.answers.add("451 4.3.0 try later", 2)
        async with aiosmtplib.SMTP(**login(mailbox)) as client:
            for _ in range(2):
                with pytest.raises(aiosmtplib.SMTPDataError) as error:
                    await client.send_message(mail())
                assert error.value.code == 451
            await client.send_message(mail())
        assert len(mailbox.mails) == 1


async def test_an_address_is_refused(tmp_path: Path) -> None:
    async with Mailbox(tmp_path) as mailbox:
        mailbox.refuse([TO])
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as error:
            await aiosmtplib.send(mail(), **login(mailbox))
        assert error.value.recipients[0].code == 550


@pytest.mark.parametrize(("script", "stored"), [(DROP_AFTER, 1), (DROP_BEFORE, 0)])
async def test_a_lost_acknowledgement_says_nothing_about_the_mail(
    tmp_path: Path, mode: Any, script: str, stored: int
) -> None:
    async with Mailbox(tmp_path, mode=mode) as mailbox:
        mailbox.answers.add(script)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await aiosmtplib.send(mail(), **login(mailbox))
        assert len(mailbox.mails) == stored
        await aiosmtplib.send(mail(), **login(mailbox))
        assert len(mailbox.mails) == stored + 1


async def test_it_closes_although_a_client_stays(tmp_path: Path) -> None:
    async with Mailbox(tmp_path) as mailbox:
        client = aiosmtplib.SMTP(**login(mailbox))
        await client.connect()
    client.close()


@pytest.mark.parametrize("how", ["waits", "goes", "resets", "babbles"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_it_closes_at_once_although_a_handshake_failed(
    tmp_path: Path, how: str, at_once: bool
) -> None:
    async with Mailbox(tmp_path, mode="starttls") as mailbox:
        reader, writer = await asyncio.open_connection(mailbox.host, mailbox.port)
        for line in (b"EHLO localhost\r\n", b"STARTTLS\r\n"):
            writer.write(line)
            while b"220 Ready" not in (said := await reader.readline()) and said[3:4] != b" ":
                pass
        while b"Ready" not in said:
            said = await reader.readline()
        if how == "goes":
            writer.close()
        elif how == "resets":
            reset(writer.transport)
        elif how == "babbles":
            writer.write(b"what?" * 100)
        if not at_once:
            await asyncio.sleep(0.05)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 0.4
    assert not mailbox._connections
    writer.close()


async def test_it_closes_at_once_although_its_certificate_was_refused(tmp_path: Path) -> None:
    async with Mailbox(tmp_path, mode="starttls") as mailbox:
        with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)):
            await aiosmtplib.send(mail(), **login(mailbox, tls_context=None))
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 0.4
    assert not mailbox._connections


async def test_encryption_needs_a_place_for_certificates() -> None:
    with pytest.raises(ValueError, match="directory"):
        Mailbox()
