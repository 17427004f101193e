"""The email channel against a real mail server."""

import traceback
from pathlib import Path

import pytest

from services.notifier.channels import Broken, Receipt, Refused, TryAgain
from services.notifier.channels.email_channel import EmailChannel
from services.notifier.message import email_text, letter
from sim.mailbox import DROP_AFTER, Mailbox

from .conftest import PASSWORD, PERIODS, WORDING, Bench, SilentPeer, fresh_signal, now_ms, smtp


def channel(bench: Bench, section: dict[str, object]) -> EmailChannel:
    settings = bench.settings(smtp=section)
    assert settings.smtp is not None
    return EmailChannel(settings.smtp, WORDING)


async def send(email: EmailChannel, number: int = 0) -> Receipt:
    return await email.send(fresh_signal(number), email.recipients[0])


@pytest.mark.parametrize("mode", ["tls", "starttls"])
async def test_a_mail_arrives_over_either_kind_of_tls(
    bench: Bench, tmp_path: Path, mode: str
) -> None:
    async with Mailbox(tmp_path / mode, mode=mode, password=PASSWORD) as box:  # type: ignore[arg-type]
        email, signal = channel(bench, smtp(box)), fresh_signal()
        receipt = await email.send(signal, email.recipients[0])
        await email.close()
        [mail] = box.mails
    assert mail.subject == "[BTC SCALP] LONG Signal - 5m"
    assert mail.text.replace("\r\n", "\n") == email_text(signal, PERIODS) + "\n"
    assert mail.sender == "scanner@example.com"
    assert mail.recipients == ("trader@example.org",)
    assert mail.signal_id == signal.id
    assert mail.message_id == receipt.message_id
    assert receipt.answer == "2.0.0 OK: queued as 1"
    assert mail.html.replace("\r\n", "\n") == letter(signal, PERIODS).html


async def test_a_late_mail_says_so(bench: Bench, mailbox: Mailbox) -> None:
    email = channel(bench, smtp(mailbox))
    late = fresh_signal(received_at_ms=now_ms() - 7_500_000)
    await email.send(late, email.recipients[0])
    await email.close()
    [mail] = mailbox.mails
    assert mail.subject == "LATE 2h 5m [BTC SCALP] LONG Signal - 5m"
    assert mail.text.startswith("⏰ LATE 2h 5m: price may have moved")
    assert "⏰ LATE 2h 5m: price may have moved" in mail.html


async def test_one_connection_serves_many_mails_and_a_lost_one_is_replaced(
    bench: Bench, tmp_path: Path
) -> None:
    async with Mailbox(tmp_path / "tls", password=PASSWORD) as box:
        email, section = channel(bench, smtp(box)), smtp(box)
        for number in range(5):
            await send(email, number)
        assert len(box._connections) == 1
        assert len(box.mails) == 5
        port, ca_file = box.port, Path(str(section["ca_file"]))
    again = Mailbox(tmp_path / "tls", password=PASSWORD, port=port)
    trusted = ca_file.read_text()
    async with again as box:
        assert trusted != ca_file.read_text()  # another authority: the channel starts anew
        email = channel(bench, section)
        await send(email, 6)
        box._cut_all()
        with_luck = await _until_sent(email, 7)
        assert with_luck.message_id == box.mails[-1].message_id
        await email.close()


async def _until_sent(email: EmailChannel, number: int) -> Receipt:
    for _ in range(3):
        try:
            return await send(email, number)
        except TryAgain:
            continue
    raise AssertionError("three attempts failed")


async def test_a_wrong_password_is_refused_with_the_remedy_and_never_shown(
    bench: Bench, mailbox: Mailbox
) -> None:
    email = channel(bench, smtp(mailbox, password="wr0ng-pa55"))
    with pytest.raises(Broken, match=r"smtp\.user and smtp\.password") as refused:
        await send(email)
    assert "wr0ng-pa55" not in "".join(traceback.format_exception(refused.value))
    assert mailbox.mails == []


async def test_an_untrusted_certificate_is_refused(bench: Bench, mailbox: Mailbox) -> None:
    email = channel(bench, smtp(mailbox, ca_file=None))
    with pytest.raises(Broken, match=r"not trusted.*smtp\.ca_file"):
        await send(email)


async def test_an_untrusted_certificate_is_refused_after_starttls(
    bench: Bench, tmp_path: Path
) -> None:
    async with Mailbox(tmp_path / "tls", mode="starttls", password=PASSWORD) as box:
        email = channel(bench, smtp(box, ca_file=None))
        with pytest.raises(Broken, match=r"not trusted.*smtp\.ca_file"):
            await send(email)
        box._connections.clear()  # aiosmtpd does not notice the end of a failed handshake


async def test_a_ca_file_that_is_none_is_named(bench: Bench, mailbox: Mailbox) -> None:
    wrong = bench.folder / "ca.pem"
    wrong.write_text("no certificate")
    email = channel(bench, smtp(mailbox, ca_file=str(wrong)))
    with pytest.raises(Broken, match=r"smtp\.ca_file .* cannot be used"):
        await send(email)


@pytest.mark.parametrize(
    ("use_ssl", "words"), [(False, "does not offer STARTTLS"), (True, "does not speak TLS")]
)
async def test_nothing_is_sent_in_the_clear(bench: Bench, use_ssl: bool, words: str) -> None:
    async with Mailbox(mode="plain", password=PASSWORD) as box:
        email = channel(bench, smtp(box, use_ssl=use_ssl))
        with pytest.raises(Broken, match=words):
            await send(email)
        assert box.mails == []


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("451 4.3.0 try later", TryAgain),
        ("421 4.3.2 closing", TryAgain),
        ("554 5.7.1 spam", Refused),
    ],
)
async def test_a_failure_of_one_mail_leaves_the_channel_usable(
    bench: Bench, mailbox: Mailbox, reply: str, kind: type[Exception]
) -> None:
    email = channel(bench, smtp(mailbox))
    mailbox.answers.add(reply)
    with pytest.raises(kind, match=reply[:3]):
        await send(email)
    await send(email)
    assert len(mailbox.mails) == 1
    await email.close()


async def test_a_lost_acknowledgement_gives_a_repeat_that_can_be_recognised(
    bench: Bench, mailbox: Mailbox
) -> None:
    email = channel(bench, smtp(mailbox))
    mailbox.answers.add(DROP_AFTER)
    with pytest.raises(TryAgain, match="closed the connection"):
        await send(email)
    await send(email)
    first, second = mailbox.mails
    assert first.message_id == second.message_id
    await email.close()


async def test_a_silent_server_is_given_up_in_time(bench: Bench, silent_peer: SilentPeer) -> None:
    box = Mailbox(mode="plain")
    email = channel(bench, smtp(box, port=silent_peer.port, timeout_seconds=0.2))
    with pytest.raises(TryAgain, match="did not answer in time"):
        await send(email)


async def test_nobody_listens(bench: Bench, mailbox: Mailbox, unused_tcp_port: int) -> None:
    email = channel(bench, smtp(mailbox, port=unused_tcp_port))
    with pytest.raises(TryAgain, match="cannot be reached"):
        await send(email)


async def test_the_name_of_the_sender_is_in_the_header_alone(
    bench: Bench, mailbox: Mailbox
) -> None:
    email = channel(bench, smtp(mailbox, from_email="Börse <scanner@example.com>"))
    receipt = await send(email)
    await email.close()
    [mail] = mailbox.mails
    assert mail.sender == "scanner@example.com"
    assert receipt.message_id == mail.message_id
    assert mail.message_id.endswith("@example.com>")
    assert mail.message_id.count(">") == 1
