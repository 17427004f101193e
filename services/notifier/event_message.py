"""What a message about the scanner itself says: subject and text of the email, Telegram. Pure."""

from services.notifier import quiet
from shared.event import Event
from shared.times import utc

# Neither is the light of a LONG or SHORT signal.
_TROUBLE, _OVER = "🟠", "🔵"

# Where the state alone would say something else.
_SAID = {"lost": "LOST DATA"}


def subject(event: Event, base: str) -> str:
    """The subject of the email: ``[BTC SCALP] Feed BLIND``, ``[BTC SCALP] Detector DOWN``."""
    kind, _, name = event.subject.partition(":")
    if kind == "error":
        return f"[{base} SCALP] {name[:1].upper()}{name[1:]} ERROR"
    what = name if kind == "service" else kind
    state = _SAID.get(event.state, event.state.upper())
    return f"[{base} SCALP] {what[:1].upper()}{what[1:]} {state}"


def email_text(event: Event) -> str:
    """The body of the email, also what the console shows."""
    lines = [f"{_light(event)} {event.sentence}", "", f"Time: {utc(event.at_ms)}"]
    if event.since_ms != event.at_ms:
        lines.append(f"Since: {utc(event.since_ms)}")
    lines.append(f"Noticed by: {event.service}, instance {event.instance}")
    lines += [f"{_words(name)}: {text}" for name, text in event.details.items()]
    return "\n".join(lines)


def telegram_text(event: Event) -> str:
    """The Telegram message, plain text."""
    lines = [f"{_light(event)} {event.sentence}", "", utc(event.at_ms)]
    if event.subject == quiet.SUBJECT:  # its details are what people wait for
        lines[1:1] = ["", *event.details.values()]
    return "\n".join(lines)


def is_telegram_text(text: str) -> bool:
    """Whether the message tells of an event."""
    return text.startswith((_TROUBLE, _OVER))


def _light(event: Event) -> str:
    return _OVER if event.ends else _TROUBLE


def _words(name: str) -> str:
    """``by_rest`` as ``By rest``."""
    words = name.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]}"
