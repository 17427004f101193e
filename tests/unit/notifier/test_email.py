"""The mail as it is built, and what each failure of a mail server means."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import aiosmtplib
import pytest

from services.notifier.channels import Broken, Refused, TryAgain, recipient
from services.notifier.channels.email_answers import answer
from services.notifier.channels.email_channel import build_mail, message_id
from services.notifier.message import Periods, email_text, letter
from services.notifier.wording import Wording
from shared.event import Event
from shared.trade_signal import example_signal

PERIODS = Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6)
WORDING = Wording(PERIODS, "BTC")
NOW = datetime(2025, 11, 2, 14, 35, 0, tzinfo=UTC)


def test_the_message_id_follows_from_signal_and_recipient_alone() -> None:
    first = message_id("BTCUSDT:5m:LONG:1762094100000", "me@example.org", "bot@example.com")
    again = message_id("BTCUSDT:5m:LONG:1762094100000", "me@example.org", "bot@example.com")
    other = message_id("BTCUSDT:5m:LONG:1762094100000", "you@example.org", "bot@example.com")
    later = message_id("BTCUSDT:5m:LONG:1762094400000", "me@example.org", "bot@example.com")
    assert first == again
    assert len({first, other, later}) == 3
    assert first.startswith("<BTCUSDT.5m.LONG.1762094100000.")
    assert first.endswith("@example.com>")


def test_the_mail_survives_transport_as_it_was_written() -> None:
    signal = example_signal()
    mail = build_mail(
        signal, WORDING, from_email="bot@example.com", to_email="me@example.org", now=NOW
    )
    raw = mail.as_bytes()
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    read = message_from_bytes(raw, policy=default)
    assert read.get_content_type() == "multipart/alternative"
    plain, html = read.iter_parts()  # the better one comes last
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert plain.get_content_charset() == html.get_content_charset() == "utf-8"
    assert plain.get_content().replace("\r\n", "\n") == email_text(signal, PERIODS) + "\n"
    assert html.get_content().replace("\r\n", "\n") == letter(signal, PERIODS).html
    assert read["Subject"] == "[BTC SCALP] LONG Signal - 5m"
    assert read["X-Signal-Id"] == signal.id
    assert read["Auto-Submitted"] == "auto-generated"
    assert read["Date"] == "Sun, 02 Nov 2025 14:35:00 +0000"
    assert read["To"] == "me@example.org"


def test_a_mail_about_the_scanner_itself_names_its_event() -> None:
    at_ms = int(NOW.timestamp() * 1000)
    event = Event("feed BLIND …", "feed:BTCUSDT", "blind", "ingest", "1", at_ms, True, 3)
    mail = build_mail(
        event, WORDING, from_email="bot@example.com", to_email="me@example.org", now=NOW
    )
    read = message_from_bytes(mail.as_bytes(), policy=default)
    assert read["Subject"] == "[BTC SCALP] Feed BLIND"
    assert (read["X-Event-Id"], read["X-Signal-Id"]) == ("feed:BTCUSDT:blind:3", None)
    assert read["Message-ID"] == message_id(event.id, "me@example.org", "bot@example.com")
    plain, html = read.iter_parts()
    assert plain.get_content().startswith("🟠 feed BLIND …")
    assert "🟠 feed BLIND …" in html.get_content()


def test_a_repeat_is_the_same_mail_but_for_its_date() -> None:
    def raw(now: datetime) -> bytes:
        given = {"from_email": "bot@example.com", "to_email": "me@example.org"}
        mail = build_mail(example_signal(), WORDING, **given, now=now)
        del mail["Date"]
        return mail.as_bytes()

    assert raw(NOW) == raw(NOW + timedelta(seconds=9))


def test_a_late_mail_says_so_in_its_subject_and_both_parts() -> None:
    late = NOW + timedelta(seconds=250)
    mail = build_mail(
        example_signal(), WORDING, from_email="bot@example.com", to_email="me@example.org", now=late
    )
    read = message_from_bytes(mail.as_bytes(), policy=default)
    assert read["Subject"] == "LATE 4m 10s [BTC SCALP] LONG Signal - 5m"
    for part in read.iter_parts():
        assert "⏰ LATE 4m 10s: price may have moved" in part.get_content()


def test_a_recipient_is_named_by_a_tag_that_does_not_tell_who_it_is() -> None:
    assert recipient("me@example.org").tag == recipient("me@example.org").tag
    assert len(recipient("me@example.org").tag) == 8
    assert recipient("me@example.org").tag != recipient("you@example.org").tag


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


def all_refused(code: int, text: str) -> aiosmtplib.SMTPRecipientsRefused:
    refused = aiosmtplib.SMTPRecipientRefused(code, text, "me@example.org")
    return aiosmtplib.SMTPRecipientsRefused([refused])


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (aiosmtplib.SMTPAuthenticationError(535, "bad s3cret"), Broken, "smtp.password"),
        (aiosmtplib.SMTPAuthenticationError(454, "later s3cret"), TryAgain, "454"),
        (aiosmtplib.SMTPSenderRefused(530, "login", "a@b"), Broken, "smtp.user"),
        (aiosmtplib.SMTPSenderRefused(550, "who?", "a@b"), Broken, "smtp.from_email"),
        (aiosmtplib.SMTPSenderRefused(451, "later", "a@b"), TryAgain, "451 later"),
        (all_refused(550, "no such user"), Refused, "smtp.to_email"),
        (all_refused(450, "greylisted"), TryAgain, "450 greylisted"),
        (all_refused(552, "too many"), TryAgain, "too many recipients"),
        (aiosmtplib.SMTPDataError(554, "spam"), Refused, "554 spam"),
        (aiosmtplib.SMTPDataError(552, "too big"), Refused, "552 too big"),
        (aiosmtplib.SMTPDataError(451, "try\r\nlater"), TryAgain, "451 try later"),
        (aiosmtplib.SMTPConnectResponseError(421, "busy"), TryAgain, "421 busy"),
        (aiosmtplib.SMTPConnectResponseError(554, "go away"), Broken, "this host"),
        (aiosmtplib.SMTPHeloError(501, "name?"), Broken, "501 name?"),
        (aiosmtplib.SMTPResponseException(-1, "HTTP/1.1 s3cret"), TryAgain, "not SMTP"),
        (aiosmtplib.SMTPNotSupported("SMTPUTF8"), Refused, "ASCII"),
        (aiosmtplib.SMTPServerDisconnected("lost"), TryAgain, "closed"),
        (aiosmtplib.SMTPReadTimeoutError("slow"), TryAgain, "in time"),
        (TimeoutError(), TryAgain, "in time"),
        (certificate_error(), Broken, "has expired): check smtp.server"),
        (
            caused(aiosmtplib.SMTPConnectError("x"), certificate_error()),
            Broken,
            "smtp.ca_file",
        ),
        (
            caused(
                aiosmtplib.SMTPConnectError("x"),
                ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"),
            ),
            Broken,
            "smtp.use_ssl false",
        ),
        (
            caused(aiosmtplib.SMTPConnectError("x"), socket.gaierror(-2, "unknown")),
            TryAgain,
            "check smtp.server",
        ),
        (
            caused(
                aiosmtplib.SMTPConnectError("Error connecting to auth.starttls.example"),
                ConnectionRefusedError(111, "Connection refused"),
            ),
            TryAgain,
            "mail:465 cannot be reached (Connection refused)",
        ),
        (
            aiosmtplib.SMTPException("SMTP STARTTLS extension not supported by server."),
            Broken,
            "in the clear",
        ),
        (
            aiosmtplib.SMTPException("The SMTP AUTH extension is not supported by this server."),
            Broken,
            "offers no login",
        ),
        (aiosmtplib.SMTPException("something new"), TryAgain, "cannot be reached"),
        (ValueError("s3cret"), Refused, "section smtp"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_failure_has_an_answer(error: Exception, kind: type[Exception], words: str) -> None:
    answered = answer(error, "mail:465")
    assert type(answered) is kind
    assert words in answered.reason
    assert "mail:465" in answered.reason
    assert "s3cret" not in answered.reason


def test_like_failures_have_one_kind_whatever_the_server_adds() -> None:
    first = answer(aiosmtplib.SMTPDataError(451, "later, id=1"), "mail:465")
    second = answer(aiosmtplib.SMTPDataError(451, "later, id=2"), "mail:465")
    other = answer(aiosmtplib.SMTPDataError(452, "full"), "mail:465")
    assert first.kind == second.kind != other.kind


def test_long_replies_are_cut() -> None:
    answered = answer(aiosmtplib.SMTPDataError(554, "x" * 5000), "mail:465")
    assert len(answered.reason) < 300
