"""``dead``: letters as the notifier writes them, listed, replayed and dropped by real commands."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from cli.command_line import main
from cli.dead_letters import Letterbox
from services.notifier.channels import recipient
from services.notifier.channels.email_channel import EmailChannel
from services.notifier.decisions import REVIVED, Patience, Pending, due
from services.notifier.sources import EVENTS, SIGNALS, Source
from shared import keys
from shared.trade_signal import Signal
from sim.mailbox import Mailbox
from tests.integration.cli.test_status import command

from .conftest import WORDING, Bench, fresh_signal, now_ms, smtp

ANNA, BEN = "anna@example.org", "ben@example.org"
PATIENCE = Patience(base_s=1.0, max_s=60.0, claim_idle_s=60.0)
HOUR_MS = 3_600_000


@pytest.fixture
async def desk(
    each_redis: Redis, each_redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator["Desk"]:
    made = Desk(Bench(each_redis, each_redis_url, tmp_path), capsys)
    yield made
    await made.bench.close()


class Desk:
    """A notifier that gives recipients up, as far as Redis is concerned."""

    def __init__(self, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
        self.bench, self.redis, self._capsys = bench, bench.redis, capsys
        section = {"server": "127.0.0.1", "from_email": "a@example.com", "to_email": [ANNA, BEN]}
        self.config = bench.config(smtp=section)

    async def read(self, signal: Signal, *, at: str = "*", source: Source = SIGNALS) -> bytes:
        """A notifier reads the alert."""
        flat = signal.fields()
        fields: Any = dict(zip(flat[::2], flat[1::2], strict=True))
        entry: bytes = await self.redis.xadd(source.stream, fields, id=at)
        if not await self.redis.xinfo_groups(source.stream):
            await self.redis.xgroup_create(source.stream, "email", id="0")
        await self.redis.xreadgroup("email", "host-1", {source.stream: ">"})
        return entry

    async def give_up(self, signal: Signal, entry: bytes, address: str, **changes: str) -> str:
        """It does so with one recipient; the name of the letter."""
        tag, flat = recipient(address).tag, signal.fields()
        fields: Any = {
            "dead": f"Nobody at {tag} got {signal.id}",
            "id": signal.id,
            "source": keys.SIGNALS,
            "entry": entry,
            "recipient": tag,
            "reason": "the server refuses the recipient (550 no such user): check smtp.to_email",
            "attempts": "3",
            "at": str(now_ms()),
            **{f"alert_{k}": v for k, v in zip(flat[::2], flat[1::2], strict=True)},
            **changes,
        }
        letter = await self.redis.xadd(keys.dead("email"), fields)
        await self.redis.set(keys.delivered("email", signal.id, tag), "dead", px=HOUR_MS)
        return f"email:{letter.decode()}"

    async def deliver(self, signal: Signal, address: str) -> None:
        """The other one has it."""
        key = keys.delivered("email", signal.id, recipient(address).tag)
        await self.redis.set(key, f"{now_ms()} <m@example.com>", px=HOUR_MS)

    async def buried(self, **changes: str) -> tuple[Signal, bytes, str]:
        """An alert of which Anna has a copy and Ben was given up."""
        signal = fresh_signal()
        entry = await self.read(signal)
        await self.deliver(signal, ANNA)
        name = await self.give_up(signal, entry, BEN, **changes)
        await self.redis.xack(keys.SIGNALS, "email", entry)
        return signal, entry, name

    async def does(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command as the command line does; code, output, errors."""
        call = ["dead", *arguments, "--config", str(self.config)]
        code = await asyncio.to_thread(main, call)
        return code, *self._capsys.readouterr()

    async def state(self) -> tuple[list[Any], int, list[bytes]]:
        """Pending entries, letters, and keys of the ledger."""
        pending = await self.bench.pending("email")
        ledger = sorted([key async for key in self.redis.scan_iter(match="delivered:*")])
        return pending, await self.redis.xlen(keys.dead("email")), ledger


async def test_letters_are_listed_newest_first_with_all_that_one_needs(desk: Desk) -> None:
    assert await desk.does("list") == (0, "No dead letters: no recipient was given up.\n", "")
    signal, entry, first = await desk.buried(at="1762094100000")
    later, strange = f"{now_ms() + 1000}-0", {"hello": "\x1b[2J"}
    await desk.redis.xadd(keys.dead("telegram"), strange, id=later)
    code, out, err = await desk.does("list")
    assert (code, err) == (0, "")
    tag = recipient(BEN).tag
    assert out.splitlines()[:5] == [
        f"when is not known        telegram:{later}, to nobody known",
        "                         unreadable: it was edited",
        f"2025-11-02 14:35:00 UTC  {first}, to {tag} (b…@example.org), 3 attempts",
        f"                         {signal.id}",
        f"{'':25}the server refuses the recipient (550 no such user): check smtp.to_email",
    ]
    assert "\x1b" not in out
    assert "dead replay NAME" in out.splitlines()[-2]
    code, out, _ = await desk.does("list", "email", "--json")
    [letter] = json.loads(out)["dead_letters"]
    assert (code, letter["name"], letter["id"]) == (0, first, signal.id)
    assert (letter["recipient"], letter["attempts"]) == (tag, 3)
    assert (letter["source"], letter["entry"]) == ("signals", entry.decode())
    assert (letter["at_ms"], letter["channel"]) == (1762094100000, "email")


async def test_one_letter_is_shown_whole(desk: Desk) -> None:
    signal, _, name = await desk.buried()
    code, out, _ = await desk.does("show", name)
    assert code == 0
    assert f"name                     {name}\n" in out
    assert "attempts                 3\n" in out
    assert f"alert_id                 {signal.id}\n" in out
    code, out, _ = await desk.does("show", name, "--json")
    shown = json.loads(out)
    assert (code, shown["alert"]["id"], shown["name"]) == (0, signal.id, name)


@pytest.mark.parametrize("name", ["email:1-0", "telegram:1762094100500-0"])
@pytest.mark.parametrize("action", ["show", "replay", "drop"])
async def test_an_unknown_letter_is_an_error(desk: Desk, action: str, name: str) -> None:
    code, _, err = await desk.does(action, name)
    assert code == 1
    assert f"there is no dead letter {name}; ./btc-scanner dead list shows all" in err


async def test_an_alert_means_all_its_letters_wherever_a_name_may_stand(desk: Desk) -> None:
    signal, other = fresh_signal(), fresh_signal(1)
    entry = await desk.read(signal)
    names = [await desk.give_up(signal, entry, who) for who in (ANNA, BEN)]
    await desk.redis.xack(keys.SIGNALS, "email", entry)
    kept = await desk.give_up(other, await desk.read(other), BEN)
    listed = json.loads((await desk.does("list", "--json"))[1])["dead_letters"]
    assert [each["name"] for each in listed if each["id"] == signal.id] == names[::-1]
    code, out, _ = await desk.does("show", signal.id, "--json")
    shown = json.loads(out)["dead_letters"]
    assert (code, [each["name"] for each in shown]) == (0, names[::-1])
    code, out, _ = await desk.does("show", signal.id)
    assert (code, out.count("name   "), out.count(f"alert_id                 {signal.id}")) == (
        0,
        2,
        2,
    )
    code, out, err = await desk.does("replay", signal.id, names[0])
    told = sorted(f"{name} is tried again now" for name in names)
    assert (code, sorted(out.splitlines()), err) == (0, told, "")
    assert await desk.does("drop", other.id) == (0, f"{kept} is dropped\n", "")
    assert (await desk.state())[1] == 0


async def test_what_is_neither_a_name_nor_an_alert_is_an_error(desk: Desk) -> None:
    await desk.buried()
    for wrong in (["show", "1-0"], ["replay", "pigeon:1-0"], ["drop", "email:soon"]):
        code, _, err = await desk.does(*wrong)
        assert (code, f"there is no dead letter of an alert {wrong[1]};" in err) == (1, True)
    assert (await desk.state())[1] == 1
    code, _, err = await desk.does("replay", "email:1-0", "--channel", "email")
    assert (code, "--channel goes with --all" in err) == (2, True)


async def test_a_replayed_letter_is_pending_for_the_first_notifier_that_looks(desk: Desk) -> None:
    signal, entry, name = await desk.buried()
    code, out, err = await desk.does("replay", name)
    assert (code, out, err) == (0, f"{name} is tried again now\n", "")
    [row], letters, ledger = await desk.state()
    assert (row["message_id"], row["consumer"]) == (entry, REVIVED.encode())
    assert (row["times_delivered"], letters) == (0, 0)
    assert ledger == [keys.delivered("email", signal.id, recipient(ANNA).tag).encode()]
    pending = Pending(entry, REVIVED, row["time_since_delivered"], row["times_delivered"])
    assert due([pending], consumer="x", in_hand=(), patience=PATIENCE, since_start_s=0)
    before = await desk.state()
    code, _, err = await desk.does("replay", name)
    assert (code, "there is no dead letter" in err) == (1, True)
    assert (await desk.state())[1:] == before[1:]


async def test_a_replay_that_is_repeated_after_a_lost_reply_takes_no_delivery_back(
    desk: Desk,
) -> None:
    signal, entry, name = await desk.buried()
    box = Letterbox(desk.redis, desk.bench.settings())
    [letter] = (await box.meant([name]))[name]
    assert await box.replay([letter]) == {name: "revived"}
    await desk.deliver(signal, BEN)
    await desk.redis.xack(keys.SIGNALS, "email", entry)
    before = await desk.state()
    assert await box.replay([letter]) == {name: "gone"}
    assert await desk.state() == before
    assert before[:2] == ([], 0)
    assert len(before[2]) == 2


async def test_one_letter_that_is_gone_keeps_no_other_from_its_replay(desk: Desk) -> None:
    signal = fresh_signal()
    entry = await desk.read(signal)
    first, second = [await desk.give_up(signal, entry, who) for who in (ANNA, BEN)]
    await desk.redis.xack(keys.SIGNALS, "email", entry)
    box = Letterbox(desk.redis, desk.bench.settings())
    letters = await box.letters()
    assert (await desk.does("drop", first))[0] == 0
    assert await box.replay(letters) == {first: "gone", second: "revived"}
    assert (await desk.state())[2] == [
        keys.delivered("email", signal.id, recipient(ANNA).tag).encode()
    ]


async def test_a_replay_reaches_the_recipient_and_nobody_else(desk: Desk, mailbox: Mailbox) -> None:
    sections = {"smtp": smtp(mailbox, to_email=[ANNA, BEN, "new@example.org"])}
    desk.config = desk.bench.config(**sections)
    settings = desk.bench.settings(**sections)
    signal, _, name = await desk.buried()
    await desk.redis.delete(keys.delivered("email", signal.id, recipient(ANNA).tag))  # expired
    code, out, err = await command(
        "dead", "replay", "--all", "--channel", "email", config=desk.config
    )
    assert (code, out, err) == (0, f"{name} is tried again now\n", "")
    assert settings.smtp is not None
    await desk.bench.deliver(EmailChannel(settings.smtp, WORDING), settings)
    await desk.bench.until_settled("email", 1)
    assert [(mail.signal_id, mail.recipients) for mail in mailbox.mails] == [(signal.id, (BEN,))]
    assert await desk.redis.xlen(keys.dead("email")) == 0


async def test_letters_of_one_alert_are_tried_together(desk: Desk) -> None:
    signal = fresh_signal()
    entry = await desk.read(signal)
    names = [await desk.give_up(signal, entry, who) for who in (ANNA, BEN)]
    await desk.redis.xack(keys.SIGNALS, "email", entry)
    code, out, _ = await desk.does("replay", "--all")
    assert (code, sorted(out.splitlines())) == (0, [f"{each} is tried again now" for each in names])
    [row], letters, ledger = await desk.state()
    assert (row["consumer"], letters, ledger) == (REVIVED.encode(), 0, [])


async def test_an_entry_that_is_pending_for_another_recipient_stays_where_it_is(
    desk: Desk,
) -> None:
    signal = fresh_signal()
    entry = await desk.read(signal)
    name = await desk.give_up(signal, entry, BEN)
    code, out, _ = await desk.does("replay", name)
    assert (code, out) == (0, f"{name} is tried again with the alert's other recipients\n")
    [row], letters, ledger = await desk.state()
    assert (row["consumer"], row["times_delivered"], letters) == (b"host-1", 1, 0)
    assert ledger == []


async def test_an_old_entry_that_is_pending_for_another_keeps_its_letter(desk: Desk) -> None:
    signal = fresh_signal()
    entry = await desk.read(signal, at=f"{now_ms() - 25 * HOUR_MS}-0")
    name = await desk.give_up(signal, entry, BEN)
    code, out, err = await desk.does("replay", name)
    assert (code, out) == (1, "")
    assert f"{name} is kept: its alert is on its way to another recipient" in err
    [row], letters, ledger = await desk.state()
    assert (row["consumer"], letters, len(ledger)) == (b"host-1", 1, 1)


async def test_a_trimmed_alert_cannot_be_replayed_and_its_letter_stays(desk: Desk) -> None:
    _, entry, name = await desk.buried()
    await desk.redis.xdel(keys.SIGNALS, entry)
    before = await desk.state()
    code, _, err = await desk.does("replay", name)
    assert (code, "the stream does not keep its alert any more" in err) == (1, True)
    assert await desk.state() == before
    assert before[:2] == ([], 1)


async def test_edited_letters_and_absent_groups_are_told_and_kept(desk: Desk) -> None:
    _, _, name = await desk.buried(source="klines:{BTCUSDT}:1m")
    code, _, err = await desk.does("replay", name)
    assert (code, "does not say what to deliver to whom" in err) == (1, True)
    await desk.redis.xgroup_destroy(keys.SIGNALS, "email")
    signal = fresh_signal(1)
    other = await desk.give_up(signal, (await desk.bench.emit(signal))[0], BEN)
    code, _, err = await desk.does("replay", "--all")
    assert (code, f"{other} is kept: no notifier serves this channel yet" in err) == (1, True)
    assert await desk.redis.xlen(keys.dead("email")) == 2


async def test_a_letter_of_an_event_is_replayed_in_the_stream_of_events(desk: Desk) -> None:
    await desk.bench.events().lost("all of it")
    await desk.redis.xgroup_create(keys.EVENTS, "email", id="0")
    [[_, [(entry, fields)]]] = await desk.redis.xreadgroup("email", "h", {keys.EVENTS: ">"})
    await desk.redis.xack(keys.EVENTS, "email", entry)
    event = EVENTS.read(entry, fields)
    given: Any = {"id": event.id, "source": keys.EVENTS, "entry": entry, "recipient": "abcd1234"}
    letter = await desk.redis.xadd(keys.dead("email"), given)
    code, out, _ = await desk.does("replay", f"email:{letter.decode()}")
    assert (code, "abcd1234 is none of them" in out) == (0, True)
    [row] = await desk.bench.pending("email", EVENTS)
    assert (row["message_id"], row["consumer"]) == (entry, REVIVED.encode())


async def test_a_letter_of_a_channel_that_is_off_waits(desk: Desk) -> None:
    _, _, name = await desk.buried()
    desk.config = desk.bench.config()
    code, out, _ = await desk.does("replay", name)
    assert (code, out) == (0, f"{name} waits until email is configured again\n")


async def test_dropped_letters_are_forgotten_and_nothing_is_sent(desk: Desk) -> None:
    _, _, first = await desk.buried()
    signal = fresh_signal(1)
    await desk.give_up(signal, await desk.read(signal), BEN)
    assert await desk.does("drop", first) == (0, f"{first} is dropped\n", "")
    _, letters, ledger = await desk.state()
    assert (letters, len(ledger)) == (1, 3)
    assert (await desk.does("drop", "--all"))[0] == 0
    assert await desk.does("drop", "--all") == (
        0,
        "No dead letters: no recipient was given up.\n",
        "",
    )
    assert (await desk.state())[1] == 0
