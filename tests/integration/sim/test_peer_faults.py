"""Faults of mailbox and Bot API that concern one of many, or show only in their records."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import aiohttp
import aiosmtplib
import pytest

from sim.bot_api import BotApi
from sim.mail_faults import MAIL_FAULTS
from sim.mailbox import Mailbox
from tests.waiting import wait_until

FIRST, SECOND = "trader@example.org", "other@example.org"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox(mode="plain", doors=2) as box:
        yield box


async def send(box: Mailbox, *recipients: str, door: int = 0) -> dict[str, Any]:
    """Send one mail; the recipients who were refused."""
    mail = EmailMessage()
    mail["From"] = "scanner@example.org"
    mail["Message-ID"] = "<1@example.org>"
    mail.set_content("LONG\n")
    refused, _ = await aiosmtplib.send(
        mail, recipients=list(recipients), hostname=box.host, port=box.ports[door],
        username=box.user, password=box.password, start_tls=False, timeout=5,
        local_hostname="localhost",
    )  # fmt: skip
    return refused


async def test_greylisting_refuses_each_recipient_once(mailbox: Mailbox) -> None:
    mailbox.greylisting = True
    for recipient in (FIRST, SECOND):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await send(mailbox, recipient)
        assert await send(mailbox, recipient) == {}
    assert [mail.recipients for mail in mailbox.mails] == [(FIRST,), (SECOND,)]


async def test_one_of_two_recipients_is_refused_and_the_other_gets_the_mail(
    mailbox: Mailbox,
) -> None:
    await mailbox.fail("550 to RCPT", only=FIRST)
    refused = await send(mailbox, FIRST, SECOND)
    assert refused[FIRST][0] == 550
    assert [mail.recipients for mail in mailbox.mails] == [(SECOND,)]
    [met] = mailbox.incidents
    assert (met.fault, met.recipients, met.accepted) == ("550 to RCPT", (FIRST,), False)


@pytest.mark.parametrize("name", ["drop accepted", "reset accepted", "drop unaccepted"])
async def test_the_mailbox_knows_what_it_took_without_saying_so(
    mailbox: Mailbox, name: str
) -> None:
    await mailbox.fail(name)
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await send(mailbox, FIRST)
    assert [mail.fault for mail in mailbox.mails] == [name] * MAIL_FAULTS[name].accepts
    [met] = mailbox.incidents
    assert (met.key, met.accepted) == ("<1@example.org>", MAIL_FAULTS[name].accepts)


async def test_senders_are_told_apart_by_their_doors_and_a_refusing_mailbox_comes_back_there(
    mailbox: Mailbox,
) -> None:
    ports = list(mailbox.ports)
    await mailbox.fail("refused")
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await send(mailbox, FIRST)
    await mailbox.behave()
    for door in (1, 0):
        await send(mailbox, FIRST, door=door)
    assert [mail.door for mail in mailbox.mails] == ports[::-1]
    await wait_until(lambda: not mailbox.open_at(ports[0]), "the connection to be closed")


async def test_by_chance_a_third_of_the_mails_fails_in_many_ways(mailbox: Mailbox) -> None:
    mailbox.fail_at_random(seed=3, share=1 / 3)
    failed = 0
    for _ in range(120):
        met, sending = len(mailbox.incidents), asyncio.ensure_future(send(mailbox, FIRST))
        await wait_until(
            lambda met=met, sending=sending: sending.done() or len(mailbox.incidents) > met
        )
        if len(mailbox.incidents) > met:  # by some the sender hears nothing more
            await asyncio.wait([sending], timeout=0.2)
            sending.cancel()
        try:
            await sending
        except (aiosmtplib.SMTPException, OSError, asyncio.CancelledError):
            failed += 1
    assert failed == len(mailbox.incidents)
    assert 20 < failed < 60
    assert len({met.fault for met in mailbox.incidents}) > 10
    told = [mail for mail in mailbox.mails if not mail.fault]
    assert len(told) == 120 - failed


async def ask(api: BotApi, chat: int, door: int = 0, **more: str) -> tuple[int, dict[str, Any]]:
    url = f"{api.urls[door]}/bot{api.token}/sendMessage"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"chat_id": chat, "text": "LONG", **more}) as reply,
    ):
        return reply.status, await reply.json()


async def test_a_group_that_moved_names_its_new_chat_which_works() -> None:
    async with BotApi(chats=[-5]) as api:
        api.move(-5, -1005)
        status, body = await ask(api, -5)
        assert (status, body["parameters"]) == (400, {"migrate_to_chat_id": -1005})
        assert (await ask(api, -1005))[0] == 200
        assert [message.chat_id for message in api.messages] == [-1005]


async def test_markup_that_is_not_understood_is_refused_and_plain_text_is_not() -> None:
    async with BotApi(chats=[5]) as api:
        await api.fail_by("entities")
        status, body = await ask(api, 5, parse_mode="HTML")
        assert (status, "can't parse entities" in body["description"]) == (400, True)
        assert (await ask(api, 5))[0] == 200


async def test_the_bot_api_knows_what_it_took_without_saying_so_and_by_which_door() -> None:
    async with BotApi(chats=[5, 6], doors=2) as api:
        await api.fail_by("drop accepted", only=5)
        with pytest.raises(aiohttp.ClientError):
            await ask(api, 5, door=1)
        assert (await ask(api, 6, door=0))[0] == 200
        taken = [(message.chat_id, message.fault) for message in api.messages]
        assert taken == [(5, "drop accepted"), (6, "")]
        assert [f":{message.door}" in url for message, url in zip(api.messages, api.urls[::-1],
                strict=True)] == [True, True]  # fmt: skip
        [met] = api.incidents
        assert (met.fault, met.recipients, met.accepted) == ("drop accepted", ("5",), True)
