"""What a message about the scanner itself says: subject and letter of the email, Telegram. Pure."""

from services.notifier import markup, quiet
from services.notifier.letter import Letter, Section
from services.notifier.markup import Message, bold
from services.notifier.message import without_heading
from shared.event import Event
from shared.times import lasting, utc

# Neither is the light of a LONG or SHORT signal.
_TROUBLE, _OVER = "🟠", "🔵"
_ACCENTS = {_TROUBLE: "#ea580c", _OVER: "#2563eb"}

# Of these the name says more than the kind: ``service:detector``.
_NAMED = {"service", "channel", "error"}
# Where the state alone would say something else.
_SAID = {"lost": "LOST DATA"}


def subject(event: Event, base: str) -> str:
    """The subject of the email: ``[BTC SCALP] Feed BLIND``, ``[BTC SCALP] Telegram BROKEN``."""
    kind, _, name = event.subject.partition(":")
    if (kind, event.state) == ("channel", "dead"):
        return f"[{base} SCALP] Alert NOT DELIVERED by {name}"
    what = name if kind in _NAMED else kind
    state = "ERROR" if kind == "error" else _SAID.get(event.state, event.state.upper())
    return f"[{base} SCALP] {_capital(what)} {state}"


def heading_lines(event: Event, late_ms: float | None) -> tuple[str, ...]:
    """What must be read before the event itself; ``late_ms`` is the age of one that is late."""
    if late_ms is None:
        return ()
    since = "this is over by now" if event.over else "more may have happened since"
    return (f"⏰ LATE {lasting(late_ms)}: {since}",)


def letter(event: Event, late_ms: float | None = None) -> Letter:
    """The email."""
    rows = [("Time", utc(event.at_ms))]
    if event.since_ms != event.at_ms:
        rows.append(("Since", utc(event.since_ms)))
    rows.append(("Noticed by", f"{event.service}, instance {event.instance}"))
    rows += [(_words(name), text) for name, text in event.details.items()]
    return Letter(
        title=f"{_light(event)} {event.sentence}",
        accent=_ACCENTS[_light(event)],
        notices=heading_lines(event, late_ms),
        sections=(Section(tuple(rows)),),
    )


def email_text(event: Event) -> str:
    """The plain text of the email, also what the console shows."""
    return letter(event).text


def telegram_message(event: Event, late_ms: float | None = None) -> Message:
    """The Telegram message."""
    lines = [f"{_light(event)} {event.sentence}", "", utc(event.at_ms)]
    if event.subject == quiet.SUBJECT:  # its details are what people wait for
        lines[1:1] = ["", *event.details.values()]
    heading = heading_lines(event, late_ms)
    return markup.message((*map(bold, heading), *([""] if heading else []), *lines))


def telegram_text(event: Event) -> str:
    """What a reader sees of the Telegram message."""
    return telegram_message(event).plain


def is_telegram_text(text: str) -> bool:
    """Whether the message tells of an event."""
    return without_heading(text).startswith((_TROUBLE, _OVER))


def _light(event: Event) -> str:
    return _OVER if event.ends else _TROUBLE


def _words(name: str) -> str:
    """``by_rest`` as ``By rest``, ``clock_skew_ms`` as ``Clock skew (ms)``."""
    return _capital(name.removesuffix("_ms").replace("_", " ")) + " (ms)" * name.endswith("_ms")


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]
