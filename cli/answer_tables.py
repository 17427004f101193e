"""The tables of docs/delivery.md that say what each answer of a peer means, from the code itself.

``make docs`` writes them. A test fails while the file has others.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from services.notifier.channels import email_answers, telegram_answers
from services.notifier.channels.answers import Row

FILE = Path(__file__).parents[1] / "docs" / "delivery.md"

_TABLES: dict[str, tuple[str, Sequence[Row]]] = {
    "email": ("the mail server", email_answers.TABLE),
    "telegram": ("the Bot API", telegram_answers.TABLE),
}
_THEN = {
    "again": "tried again",
    "refused": "dead letter of this recipient",
    "broken": "the channel stops, and is probed until it works",
    "plain": "sent at once as plain text; if that fails too: dead letter",
    "moved": "sent at once to the new chat",
}
_SHOWN = {
    "{server}": "*server*",
    "{said}": "*its words*",
    "{code}": "*code*",
    "{after}": "*n*",
    "{chat}": "*new ID*",
}


def main() -> int:
    """Write the tables into the file."""
    before = FILE.read_text(encoding="utf-8")
    after = filled(before)
    if after != before:
        FILE.write_text(after, encoding="utf-8")
        print(f"{FILE.name}: tables written")
    return 0


def filled(text: str) -> str:
    """The text of the file with the tables as they are now, between their markers.

    Raises:
        ValueError: It has no place for one of them.
    """
    for name in _TABLES:
        begin, end = f"<!-- {name} answers: make docs -->", f"<!-- end of {name} answers -->"
        place = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
        if len(place.findall(text)) != 1:
            raise ValueError(f"{FILE.name} has not one place from {begin} to {end}")
        parts = place.split(text)
        text = f"{parts[0]}{parts[1]}\n{table(name)}\n{parts[2]}{parts[3]}"
    return text


def table(name: str) -> str:
    """The table of a channel in Markdown."""
    peer, rows = _TABLES[name]
    lines = [f"| {peer} … | then | you are told |", "|---|---|---|"]
    lines += [f"| {row.when} | {_then(row)} | {_means(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _then(row: Row) -> str:
    if row.after_seconds is not None:
        return f"the channel is paused for {row.after_seconds:g} s, then tried again"
    if "{after}" in row.means:
        return "the channel is paused for so long, then tried again"
    return _THEN[row.then]


def _means(row: Row) -> str:
    words = row.means.replace("|", "\\|")
    for placeholder, shown in _SHOWN.items():
        words = words.replace(placeholder, shown)
    return words


if __name__ == "__main__":
    sys.exit(main())
