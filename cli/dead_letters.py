"""Dead letters: what could not be delivered to a recipient, and what a person does about it.

The notifier writes them; the fields are those of docs/streams.md. Which notifier takes a replayed
one over is nobody's choice: it is pending again, for a consumer that does not exist.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import cast

from redis.asyncio import Redis

import shared
from cli import CHANNELS
from cli.words import masked
from services.notifier.channels import recipient
from services.notifier.dead_letter import PREFIX
from services.notifier.decisions import REVIVED, REVIVED_IDLE_MS
from shared import keys
from shared.entry_id import order, readable
from shared.log import Line
from shared.redis_access import Script
from shared.settings import Settings

_REVIVE = Path(shared.__file__).parent / "scripts" / "revive.lua"
_SOURCES = (keys.SIGNALS, keys.EVENTS)
_NAME = re.compile(rf"({'|'.join(CHANNELS)}):([0-9]{{1,19}}-[0-9]{{1,19}})")


@dataclass(frozen=True, slots=True)
class Letter:
    """An alert that a recipient of a channel did not get.

    Attributes:
        entry_id: Of the letter, in the channel's stream.
        fields: As they were written.
    """

    channel: str
    entry_id: str
    fields: Mapping[str, str]

    @property
    def name(self) -> str:
        """What people call it: ``email:1762094100500-0``."""
        return f"{self.channel}:{self.entry_id}"

    @property
    def alert_id(self) -> str:
        """The identity of the signal or event."""
        return self.fields.get("id", "")

    @property
    def recipient(self) -> str:
        """The tag of the recipient."""
        return self.fields.get("recipient", "")

    @property
    def reason(self) -> str:
        """Why it was given up, in words."""
        return self.fields.get("reason", "")

    @property
    def attempts(self) -> int | None:
        """How often it was tried."""
        return _whole(self.fields.get("attempts", ""))

    @property
    def at_ms(self) -> int | None:
        """When it was given up."""
        return _whole(self.fields.get("at", ""))

    @property
    def source(self) -> str:
        """The stream of the alert."""
        return self.fields.get("source", "")

    @property
    def entry(self) -> str:
        """The entry in that stream, "" if there is no telling."""
        return readable(self.fields.get("entry", ""))

    @property
    def alert(self) -> dict[str, str]:
        """The alert's own fields."""
        return {
            name.removeprefix(PREFIX): text
            for name, text in self.fields.items()
            if name.startswith(PREFIX)
        }

    @property
    def usable(self) -> bool:
        """Whether it says what to deliver to whom; somebody may have edited it."""
        return bool(
            self.source in _SOURCES and self.entry and self.alert_id and self.recipient
        )  # fmt: skip


def _whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def parsed(name: str) -> tuple[str, str] | None:
    """Channel and entry ID in the name of a letter; None if it is no such name."""
    parts = _NAME.fullmatch(name)
    return None if parts is None else (parts[1], parts[2])


class Letterbox:
    """The dead letters of all channels, in Redis."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        """Nothing is asked yet."""
        self._client, self._settings = client, settings
        self._revive = Script(client, _REVIVE.read_text())
        self._clean = Line("dead", settings.secrets()).clean

    async def letters(
        self, channels: Iterable[str] = CHANNELS, *, after_ms: int = 0
    ) -> list[Letter]:
        """Those that were written at ``after_ms`` or later, newest first."""
        found = []
        for channel in channels:
            rows = await self._client.xrevrange(keys.dead(channel), "+", str(after_ms))
            found += [self._letter(channel, *row) for row in _entries(rows)]
        return sorted(found, key=lambda letter: order(letter.entry_id), reverse=True)

    async def meant(self, words: Iterable[str]) -> dict[str, list[Letter]]:
        """For each word the letter of that name, or all of the alert with that ID, newest first."""
        found: dict[str, list[Letter]] = {}
        every: list[Letter] | None = None
        for word in words:
            if place := parsed(word):
                found[word] = await self._at(*place)
            else:
                every = await self.letters() if every is None else every
                found[word] = [letter for letter in every if letter.alert_id == word]
        return found

    async def _at(self, channel: str, entry_id: str) -> list[Letter]:
        rows = _entries(await self._client.xrange(keys.dead(channel), entry_id, entry_id))
        return [self._letter(channel, *row) for row in rows]

    def _letter(self, channel: str, entry_id: bytes, raw: Mapping[bytes, bytes]) -> Letter:
        def shown(text: bytes) -> str:
            return self._clean(text.decode(errors="replace"))

        fields = {shown(name): shown(text) for name, text in raw.items()}
        return Letter(channel, entry_id.decode(), fields)

    async def replay(self, letters: Sequence[Letter]) -> dict[str, str]:
        """Make them pending again; what became of each (name → status, see ``revive.lua``).

        ``unreadable`` if it does not say what to deliver. Those of one alert go together: they are
        one entry, which is tried once.
        """
        done = {letter.name: "unreadable" for letter in letters if not letter.usable}
        usable = [letter for letter in letters if letter.usable]
        for _, group in groupby(sorted(usable, key=_alert_of), key=_alert_of):
            together = list(group)
            status = await self._replay_together(together)
            if status == "gone" and len(together) > 1:  # at least one of them
                for letter in together:
                    done[letter.name] = await self._replay_together([letter])
            else:
                done.update({letter.name: status for letter in together})
        return done

    async def _replay_together(self, letters: Sequence[Letter]) -> str:
        first, notifier = letters[0], self._settings.notifier
        tags = [letter.recipient for letter in letters]
        others = [tag for tag in tags_of(self._settings, first.channel) if tag not in tags]
        ledger = [keys.delivered(first.channel, first.alert_id, tag) for tag in (*tags, *others)]
        arguments: list[str | bytes | int] = [
            first.channel,
            REVIVED,
            first.entry,
            REVIVED_IDLE_MS,
            round(notifier.give_up_after_hours * 3_600_000),
            round(notifier.ledger_ttl_hours * 3_600_000),
            *(letter.entry_id for letter in letters),
        ]
        asked = [keys.dead(first.channel), first.source, *ledger]
        return cast("bytes", await self._revive(keys=asked, args=arguments)).decode()

    async def drop(self, letter: Letter) -> bool:
        """Forget it; whether it was still there."""
        return bool(await self._client.xdel(keys.dead(letter.channel), letter.entry_id))


def tags_of(settings: Settings, channel: str) -> list[str]:
    """The tags of the recipients that a channel has now."""
    return list(people_of(settings, channel))


def people_of(settings: Settings, channel: str) -> dict[str, str]:
    """Tag → address or chat, masked, of the recipients that a channel has now."""
    addresses: dict[str, Sequence[str]] = {
        "email": settings.smtp.to_email if settings.smtp else (),
        "telegram": settings.telegram.chat_id,
        "console": ("stdout",),
    }
    return {recipient(address).tag: masked(address) for address in addresses[channel]}


def _entries(answer: object) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return cast("list[tuple[bytes, dict[bytes, bytes]]]", answer)


def _alert_of(letter: Letter) -> tuple[str, str, tuple[int, int], str]:
    return letter.channel, letter.source, order(letter.entry), letter.alert_id
