"""Bad certificates, and somebody between who takes encryption away: nothing is sent."""

import asyncio
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from services.notifier.channels import Broken
from services.notifier.channels.email_channel import EmailChannel
from services.notifier.channels.telegram_channel import TelegramChannel
from sim.certificates import Certificates, Flaw, make_certificates
from sim.mailbox import Mailbox

from .conftest import PASSWORD, TOKEN, WORDING, Bench, cut, fresh_signal, smtp, telegram

pytestmark = pytest.mark.timeout(90)  # importing aiogram takes seconds

FLAWS = [
    pytest.param("expired", "has expired", id="expired"),
    pytest.param("self-signed", "self-signed", id="self-signed"),
    pytest.param("wrong host", "not valid for '127.0.0.1'", id="wrong host"),
]


def email_to(bench: Bench, section: dict[str, object]) -> EmailChannel:
    settings = bench.settings(smtp=section)
    assert settings.smtp is not None
    return EmailChannel(settings.smtp, WORDING)


@pytest.mark.parametrize("mode", ["tls", "starttls"])
@pytest.mark.parametrize(("flaw", "words"), FLAWS)
async def test_a_mail_server_with_a_bad_certificate_is_refused_and_the_flaw_named(
    bench: Bench, tmp_path: Path, mode: str, flaw: Flaw, words: str
) -> None:
    box = Mailbox(tmp_path / "tls", mode=mode, password=PASSWORD, flaw=flaw)  # type: ignore[arg-type]
    async with box:
        email = email_to(bench, smtp(box))
        with pytest.raises(Broken) as refused:
            await email.send(fresh_signal(), email.recipients[0])
        box._connections.clear()  # aiosmtpd does not notice the end of a failed handshake
    assert words in refused.value.reason.replace("self signed", "self-signed")
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))
    assert box.mails == []


class Downgrade:
    """Somebody between client and mail server who hides that the server can encrypt."""

    def __init__(self, port: int, *, lie: bytes) -> None:
        self.said: list[bytes] = []
        self._port, self._lie = port, lie
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await cut(self._writers)

    async def _accept(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        there, on = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += (back, on)
        for pump in (self._listen(here, on), self._hide(there, back)):
            self._tasks.add(asyncio.create_task(pump))

    async def _listen(self, here: asyncio.StreamReader, on: asyncio.StreamWriter) -> None:
        while line := await here.readline():
            self.said.append(line)
            on.write(line)
        on.close()

    async def _hide(self, there: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while line := await there.readline():
            back.write(line.replace(b"STARTTLS", self._lie))
        back.close()


@pytest.mark.parametrize("lie", [b"XXXXXXXX", b"AUTH PLAIN LOGIN"])
async def test_a_downgrade_of_starttls_is_refused_with_nothing_sent(
    bench: Bench, tmp_path: Path, lie: bytes
) -> None:
    async with Mailbox(tmp_path / "tls", mode="starttls", password=PASSWORD) as box:
        between = Downgrade(box.port, lie=lie)
        async with between.listening() as port:
            email = email_to(bench, smtp(box, port=port))
            with pytest.raises(Broken, match=r"STARTTLS.*nothing is sent in the clear"):
                await email.send(fresh_signal(), email.recipients[0])
    verbs = {line.split()[0].upper() for line in between.said}
    assert b"EHLO" in verbs
    assert verbs <= {b"EHLO", b"QUIT"}
    assert box.mails == []


@asynccontextmanager
async def https(certificates: Certificates) -> AsyncIterator[tuple[str, list[str]]]:
    """A server that would take any message; its address, and the paths that it was asked for."""
    asked: list[str] = []

    async def take(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"ok": True, "result": {"message_id": 1}})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates.server_context()).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def bot_trusting(bench: Bench, url: str, ca_file: Path) -> TelegramChannel:
    """A channel that trusts this authority, which no setting offers for the Bot API."""
    tg = TelegramChannel(bench.settings(telegram=telegram(url)).telegram, WORDING)
    session: object = tg._bot.session
    session._connector_init["ssl"] = ssl.create_default_context(cafile=ca_file)  # type: ignore[attr-defined]
    return tg


@pytest.mark.parametrize(("flaw", "words"), FLAWS)
async def test_a_bot_api_with_a_bad_certificate_is_refused_and_the_flaw_named(
    bench: Bench, tmp_path: Path, flaw: Flaw, words: str
) -> None:
    certificates = make_certificates(tmp_path, flaw)
    async with https(certificates) as (url, asked):
        tg = bot_trusting(bench, url, certificates.ca_file)
        with pytest.raises(Broken) as refused:
            await tg.send(fresh_signal(), tg.recipients[0])
        await tg.close()
    assert words in refused.value.reason.replace("self signed", "self-signed")
    assert "telegram.api_url" in refused.value.reason
    assert TOKEN not in "".join(traceback.format_exception(refused.value))
    assert asked == []


async def test_a_bot_api_with_a_good_certificate_is_used_if_its_authority_is_trusted(
    bench: Bench, tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path)
    async with https(certificates) as (url, asked):
        trusting = bot_trusting(bench, url, certificates.ca_file)
        assert (await trusting.send(fresh_signal(), trusting.recipients[0])).message_id == "1"
        await trusting.close()
        doubting = TelegramChannel(bench.settings(telegram=telegram(url)).telegram, WORDING)
        with pytest.raises(Broken, match="certificate of the Bot API is not trusted"):
            await doubting.send(fresh_signal(), doubting.recipients[0])
        await doubting.close()
    assert len(asked) == 1
