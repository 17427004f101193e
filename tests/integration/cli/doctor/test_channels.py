"""``doctor`` before mail servers and a Bot API that refuse."""

from datetime import timedelta

import pytest

from cli.doctor import ask_mail
from sim import certificates
from tests.integration.cli.doctor.patients import (
    CHAT,
    PASSWORD,
    Patient,
    only,
    says,
    silent_peer,
)


async def test_a_mailbox_that_does_not_know_the_password(ill: Patient) -> None:
    await ill.mailbox(password=f"not-{PASSWORD}")
    report = await ill.doctor()
    only(report, "email", "fail", "does not accept the login (535)", "smtp.password")


async def test_a_mailbox_whose_certificate_has_expired(
    ill: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "VALID_FOR", timedelta(minutes=-30))
    await ill.mailbox()
    report = await ill.doctor()
    only(report, "email", "fail", "certificate has expired", "check smtp.server")


async def test_a_mailbox_that_does_not_offer_starttls(ill: Patient) -> None:
    await ill.mailbox("plain", use_ssl=False)
    report = await ill.doctor()
    only(report, "email", "fail", "does not offer STARTTLS", "set smtp.use_ssl true")


async def test_a_mailbox_that_does_not_speak_tls_from_the_first_byte(ill: Patient) -> None:
    box = await ill.mailbox("starttls", use_ssl=True)
    report = await ill.doctor()
    only(report, "email", "fail", f"127.0.0.1:{box.port} does not speak TLS from the first byte",
         "set smtp.use_ssl false")  # fmt: skip


async def test_a_mailbox_that_refuses_one_recipient(ill: Patient) -> None:
    box = await ill.mailbox()
    box.refuse(["friend@example.org"])
    report = await ill.doctor()
    only(report, "email friend@example.org", "fail", "550 5.1.1 no such user", "smtp.to_email")
    says(report, "email", "ok", "takes mail for trader@example.org")
    box.refuse(["friend@example.org"], "450 4.2.0 greylisted")
    report = await ill.doctor()
    only(report, "email friend@example.org", "warn", "450 4.2.0 greylisted", "tries again")
    assert box.mails == []


async def test_a_mailbox_that_never_answers(ill: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask_mail, "_ALL_S", 0.3)
    async with silent_peer() as peer:
        await ill.mailbox(port=peer.port)
        report = await ill.doctor()
    only(report, "email", "fail", "did not answer in time", "the firewall")


async def test_a_token_that_was_revoked(ill: Patient) -> None:
    ill.bot_api.token = "42:another"
    report = await ill.doctor()
    only(report, "Telegram", "fail", "Unauthorized", "check telegram.bot_token", "@BotFather")


async def test_a_chat_that_does_not_know_the_bot(ill: Patient) -> None:
    ill.set("telegram", chat_id=[CHAT, 77])
    report = await ill.doctor()
    only(report, "chat 77", "fail", "chat not found", "check telegram.chat_id", "write to the bot")
    says(report, f"chat {CHAT}", "ok", "the bot knows it")


async def test_a_bot_api_that_cannot_be_reached(ill: Patient) -> None:
    ill.set("telegram", api_url="http://127.0.0.1:1")
    report = await ill.doctor()
    only(report, "Telegram", "fail", "the Bot API cannot be reached", "telegram.api_url")
