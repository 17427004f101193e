"""Every row of the tables of answers, by the real peers and the real process: what follows."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from services.notifier.channels.answers import Row
from services.notifier.channels.email_answers import TABLE as EMAIL_TABLE
from services.notifier.channels.telegram_answers import TABLE as TELEGRAM_TABLE
from shared.config_errors import ConfigError
from shared.settings import Telegram
from sim.bot_api import BotApi
from sim.bot_faults import BOT_FAULTS
from sim.certificates import make_certificates
from sim.mail_faults import MAIL_FAULTS
from sim.mailbox import Mailbox, Mode
from soak.peers import PACE

from . import repertoire
from .conftest import PASSWORD, TOKEN, Bench, smtp, telegram
from .rows import (
    FIRST_CHAT,
    FIRST_MAIL,
    SECOND_CHAT,
    SECOND_MAIL,
    START_S,
    TIMEOUT_S,
    BotPeer,
    MailPeer,
    Rig,
    rig,
)

pytestmark = pytest.mark.timeout(240)

# The limits of the real Telegram would make this a test of patience.
UNLIMITED: dict[str, object] = {
    name: limit for name, limit in PACE.items() if name in Telegram.model_fields
}
Faults = Mapping[str, Sequence[str]]
BOTH_MAIL = [FIRST_MAIL, SECOND_MAIL]
BOTH_CHATS = [FIRST_CHAT, SECOND_CHAT]


def cases(table: Sequence[Row], faults: Faults) -> list[tuple[Row, str]]:
    """Each row of ``faults`` with each of its faults, in the order of the table."""
    return [(row, fault) for row in table for fault in faults.get(row.when, ())]


def test_every_row_has_a_fault_that_provokes_it() -> None:
    email = {
        *repertoire.EMAIL,
        *repertoire.STARTTLS,
        *repertoire.EMAIL_BY_SETTINGS,
        *repertoire.EMAIL_BY_NOBODY,
    }
    bot = {
        *repertoire.TELEGRAM,
        *repertoire.TELEGRAM_BY_SETTINGS,
        *repertoire.TELEGRAM_BY_NOBODY,
    }
    assert email == {row.when for row in EMAIL_TABLE}
    assert bot == {row.when for row in TELEGRAM_TABLE}
    mail_faults = {*sum([*repertoire.EMAIL.values(), *repertoire.STARTTLS.values()], ())}
    bot_faults = {*sum([*repertoire.TELEGRAM.values()], ())}
    assert mail_faults <= MAIL_FAULTS.keys()
    assert bot_faults - {"moved"} <= BOT_FAULTS.keys()


def test_no_two_rows_share_their_words() -> None:
    for table in (EMAIL_TABLE, TELEGRAM_TABLE):
        assert set(Counter(row.when for row in table).values()) == {1}


def test_an_address_outside_ascii_is_not_admitted(bench: Bench) -> None:
    box = Mailbox(mode="plain")
    with pytest.raises(ConfigError, match="to_email"):
        bench.settings(smtp=smtp(box, to_email="träder@example.org"))


@pytest.mark.parametrize("token", ["no colon", "42", "42:", "forty-two:AB", "42:A B"])
def test_a_token_of_a_wrong_form_is_not_admitted(bench: Bench, token: str) -> None:
    with pytest.raises(ConfigError, match="bot_token"):
        bench.settings(telegram=telegram("http://127.0.0.1:1", bot_token=token))


async def email_rows(folder: Path, mode: Mode, rows: list[tuple[Row, str]]) -> list[str]:
    """What does not follow as the table says."""
    async with (
        Mailbox(folder / "tls", mode=mode, password=PASSWORD) as box,
        rig(
            folder / "run",
            MailPeer(box),
            smtp=smtp(box, to_email=BOTH_MAIL, timeout_seconds=TIMEOUT_S),
        ) as made,
    ):
        await made.walk(rows)
        return made.failures


async def telegram_rows(folder: Path, rows: list[tuple[Row, str]]) -> list[str]:
    """What does not follow as the table says."""
    async with (
        BotApi(token=TOKEN, chats=BOTH_CHATS) as api,
        rig(
            folder,
            BotPeer(api),
            telegram=telegram(api.url, chat_id=BOTH_CHATS, timeout_seconds=TIMEOUT_S, **UNLIMITED),
        ) as made,
    ):
        await made.walk(rows)
        return made.failures


async def all_of(*parts: asyncio.Future[list[str]]) -> list[str]:
    return [failure for failures in await asyncio.gather(*parts) for failure in failures]


async def test_what_follows_from_each_failure_of_a_mail_server(tmp_path: Path) -> None:
    rows = cases(EMAIL_TABLE, repertoire.EMAIL)
    other = cases(EMAIL_TABLE, repertoire.STARTTLS)
    failures = await all_of(
        *(
            asyncio.ensure_future(email_rows(tmp_path / str(part), "tls", rows[part::2]))
            for part in range(2)
        ),
        asyncio.ensure_future(email_rows(tmp_path / "starttls", "starttls", other)),
    )
    assert not failures, "\n" + "\n".join(failures)


async def test_what_follows_from_each_failure_of_the_bot_api(tmp_path: Path) -> None:
    rows = cases(TELEGRAM_TABLE, repertoire.TELEGRAM)
    moved = [(row, fault) for row, fault in rows if row.then == "moved"]
    rows = [(row, fault) for row, fault in rows if row.then != "moved"]
    failures = await all_of(
        asyncio.ensure_future(telegram_rows(tmp_path / "0", rows[::2])),
        asyncio.ensure_future(telegram_rows(tmp_path / "1", rows[1::2] + moved)),
    )
    assert not failures, "\n" + "\n".join(failures)


async def under_wrong_settings(
    made: Rig, row: Row, wrong: dict[str, object], right: dict[str, object]
) -> None:
    """What ``row`` says follows, and a start with the right settings ends it."""
    first = await made.bench.start(made.bench.config(**wrong))
    entry_id, signal = await made.emit()
    if row.then == "broken":
        await made.until_broken(0)
    await made.until_meant(row)
    if row.then == "refused":
        await made.until_dead(signal, made.peer.recipients)
    else:
        assert await made.is_pending(entry_id)
    await first.terminate()
    await made.bench.start(made.bench.config(**right))
    _, later = await made.emit()
    await made.until_all_have(later, START_S)
    if row.then == "refused":
        assert not any(made.peer.copies(signal).values())
    else:
        await made.until_all_have(signal, START_S)
        assert [told.count(True) for told in made.peer.copies(signal).values()] == [1, 1]


@pytest.mark.parametrize("when", repertoire.EMAIL_BY_SETTINGS)
async def test_what_follows_from_wrong_settings_of_the_mail_server(
    tmp_path: Path, when: str
) -> None:
    row = next(row for row in EMAIL_TABLE if row.when == when)
    async with (
        Mailbox(tmp_path / "tls", password=PASSWORD) as box,
        rig(tmp_path / "run", MailPeer(box)) as made,
    ):
        right = smtp(box, to_email=BOTH_MAIL)
        wrong = right | repertoire.EMAIL_BY_SETTINGS[when]
        await under_wrong_settings(made, row, {"smtp": wrong}, {"smtp": right})


@pytest.mark.parametrize("when", repertoire.TELEGRAM_BY_SETTINGS)
async def test_what_follows_from_wrong_settings_of_the_bot_api(tmp_path: Path, when: str) -> None:
    row = next(row for row in TELEGRAM_TABLE if row.when == when)
    tls = make_certificates(tmp_path / "tls").server_context()
    async with (
        BotApi(token=TOKEN, chats=BOTH_CHATS) as api,
        BotApi(token=TOKEN, chats=BOTH_CHATS, tls=tls) as untrusted,
        rig(tmp_path / "run", BotPeer(api)) as made,
    ):
        right = telegram(api.url, chat_id=BOTH_CHATS)
        wrong = right | repertoire.TELEGRAM_BY_SETTINGS[when]
        if wrong["api_url"] == "https":
            wrong["api_url"] = untrusted.url
        await under_wrong_settings(made, row, {"telegram": wrong}, {"telegram": right})
