"""``dead``: the alerts that could not be delivered; list, show, replay and drop them."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, TypeVar

from cli import CHANNELS, EXIT_FAILURE, EXIT_USAGE, CommandError
from cli.asking import answered
from cli.dead_letters import Letter, Letterbox, parsed, people_of, tags_of
from cli.listing import INDENT
from cli.words import wrapped
from shared.settings import Settings
from shared.times import utc

T = TypeVar("T")

# As many as are kept may be listed, and replayed.
_ANSWER_S = 30.0

_NONE = "No dead letters: no recipient was given up."
_HINT = (
    "./btc-scanner dead replay NAME… tries again, once the cause is gone; drop NAME… forgets them."
    "\nThe ID of an alert, in place of a name, means all its letters."
)

_REPLAYED = {
    "revived": "is tried again now",
    "pending": "is tried again with the alert's other recipients",
}
_KEPT = {
    "gone": "is gone meanwhile: replayed or dropped by somebody else",
    "trimmed": "cannot be replayed: the stream does not keep its alert any more",
    "busy": "is kept: its alert is on its way to another recipient; try again in a minute",
    "no group": "is kept: no notifier serves this channel yet; start one, then try again",
    "unreadable": "cannot be replayed: it was edited, and does not say what to deliver to whom",
}


def run(settings: Settings, chosen: argparse.Namespace) -> int:
    """Do what was typed; ``chosen.action`` is the command."""
    match chosen.action:
        case "list":
            return show_list(settings, chosen.channel, chosen.json)
        case "show":
            return show(settings, chosen.name, chosen.json)
        case "replay":
            return replay(settings, chosen.names, chosen.all, chosen.channel)
        case _:
            return drop(settings, chosen.names, chosen.all, chosen.channel)


def show_list(settings: Settings, channel: str | None, as_json: bool) -> int:
    """Print all dead letters, newest first."""
    letters = _asked(settings, lambda box: box.letters(_channels(channel)))
    if as_json:
        print(json.dumps({"dead_letters": [_document(each) for each in letters]}, indent=2))
    else:
        shown = [line for each in letters for line in _lines(each, _known(settings, each))]
        print("\n".join(shown or [_NONE]))
        if letters:
            print(f"\n{_HINT}")
    return 0


def show(settings: Settings, word: str, as_json: bool) -> int:
    """Print all that is known of a dead letter, or of all those of an alert."""
    letters = _asked(settings, lambda box: box.meant([word]))[word]
    if not letters:
        raise CommandError(_unknown(word))
    if as_json:
        found = [{**_document(each), "alert": each.alert} for each in letters]
        print(json.dumps(found[0] if parsed(word) else {"dead_letters": found}, indent=2))
    else:
        print("\n\n".join("\n".join(_whole(each)) for each in letters))
    return 0


def _whole(letter: Letter) -> Iterator[str]:
    for label, text in (("name", letter.name), *letter.fields.items()):
        yield from wrapped(text, f"{label:<24} ", INDENT) or [label]


def replay(settings: Settings, names: Sequence[str], every: bool, channel: str | None) -> int:
    """Let the notifier try again, and print for each letter what becomes of it."""

    async def run(box: Letterbox) -> dict[str, str]:
        letters, unknown = await _chosen(box, names, every, channel)
        done = await box.replay(letters)
        words = {each.name: _told(settings, each, done[each.name]) for each in letters}
        for each in letters:
            if done[each.name] in _REPLAYED:
                print(f"{each.name} {words[each.name]}")
        failed = {n: f"{n} {words[n]}" for n, status in done.items() if status in _KEPT}
        return {**failed, **{name: _unknown(name) for name in unknown}}

    return _outcome(_asked(settings, run))


def drop(settings: Settings, names: Sequence[str], every: bool, channel: str | None) -> int:
    """Forget dead letters."""

    async def run(box: Letterbox) -> dict[str, str]:
        letters, unknown = await _chosen(box, names, every, channel)
        for each in letters:
            if await box.drop(each):
                print(f"{each.name} is dropped")
            else:
                unknown.append(each.name)
        return {name: _unknown(name) for name in unknown}

    return _outcome(_asked(settings, run))


async def _chosen(
    box: Letterbox, names: Sequence[str], every: bool, channel: str | None
) -> tuple[list[Letter], list[str]]:
    """The letters that are meant, each once, and the words by which none is."""
    if channel is not None and not every:
        raise CommandError("--channel goes with --all", exit_code=EXIT_USAGE)
    if not every:
        found = await box.meant(names)
        there = {letter.name: letter for letters in found.values() for letter in letters}
        return list(there.values()), [word for word, letters in found.items() if not letters]
    letters = await box.letters(_channels(channel))
    if not letters:
        print(_NONE)
    return letters, []


def _outcome(failed: dict[str, str]) -> int:
    for words in failed.values():
        print(words, file=sys.stderr)
    return EXIT_FAILURE if failed else 0


def _told(settings: Settings, letter: Letter, status: str) -> str:
    """What became of a letter, in words."""
    if status not in _REPLAYED:
        return _KEPT[status]
    if letter.channel not in settings.channels:
        return f"waits until {letter.channel} is configured again"
    if letter.recipient not in tags_of(settings, letter.channel):
        return f"goes to those who are configured now; {letter.recipient} is none of them"
    return _REPLAYED[status]


def _channels(channel: str | None) -> Sequence[str]:
    return CHANNELS if channel is None else (channel,)


def _unknown(word: str) -> str:
    what = "" if parsed(word) else "of an alert "
    return f"there is no dead letter {what}{word}; ./btc-scanner dead list shows all"


def _asked(settings: Settings, question: Callable[[Letterbox], Awaitable[T]]) -> T:
    return asyncio.run(
        answered(settings, lambda client: question(Letterbox(client, settings)), _ANSWER_S)
    )


def _known(settings: Settings, letter: Letter) -> str:
    """The recipient's address, masked; empty for one that is not configured now."""
    return people_of(settings, letter.channel).get(letter.recipient, "")


def _lines(letter: Letter, known: str) -> Iterator[str]:
    when = "when is not known" if letter.at_ms is None else utc(letter.at_ms)
    attempts = letter.attempts
    tries = f", {attempts} attempt{'' if attempts == 1 else 's'}" if attempts is not None else ""
    who = f"{letter.recipient or 'nobody known'}{f' ({known})' if known else ''}"
    yield f"{when:<25}{letter.name}, to {who}{tries}"
    for words in (letter.alert_id, letter.reason or "unreadable: it was edited"):
        yield from wrapped(words, INDENT, INDENT)


def _document(letter: Letter) -> dict[str, Any]:
    return {
        "name": letter.name,
        "channel": letter.channel,
        "at_ms": letter.at_ms,
        "id": letter.alert_id,
        "recipient": letter.recipient,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "source": letter.source,
        "entry": letter.entry,
    }
