"""The commands of README.md and docs/, as a person would copy them.

Tests execute them as they stand here, so that what is documented is what works.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
)
# By the first word a line of an indented block is known for a command.
PROGRAMS = {
    "./btc-scanner", ".venv/bin/python", "alias", "btc-scanner", "chmod", "cp", "docker", "export",
    "git", "journalctl", "make", "mkdir", "redis-cli", "sudo", "sudoedit", "systemctl",
    "systemd-analyze", "tar", "touch",
}  # fmt: skip
_HEADING = re.compile(r"^#+ +(.*)$")
_REMARK = re.compile(r"(^| {2,})# .*$")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, its continuations joined and its remark cut off."""

    document: str
    line: int
    section: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document, and the heading that it stands under."""

    number: int
    section: str
    text: str

    @property
    def indented(self) -> bool:
        return self.text.startswith("    ")


def lines(document: str) -> Iterator[Line]:
    """All lines of a document that are not headings."""
    section = ""
    text = (ROOT / document).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if heading := _HEADING.match(line):
            section = heading[1]
        else:
            yield Line(number, section, line)


def blocks(document: str) -> list[list[Line]]:
    """The indented blocks, without their indentation and without remarks."""
    found = []
    for indented, group in groupby(lines(document), key=lambda line: line.indented):
        if indented:
            bare = [Line(each.number, each.section, _bare(each.text)) for each in group]
            found.append([each for each in bare if each.text])
    return [block for block in found if block]


def _bare(text: str) -> str:
    return _REMARK.sub("", text[4:]).rstrip()


def is_command(text: str) -> bool:
    """Whether a line begins with a program that the documents use."""
    return text.split(maxsplit=1)[0] in PROGRAMS


def commands(document: str, section: str | None = None) -> list[Command]:
    """The commands of the indented blocks, in their order."""
    found: list[Command] = []
    for block in blocks(document):
        if not is_command(block[0].text):
            continue
        continued = False
        for line in block:
            if continued:
                last = found.pop()
                text = f"{last.text.removesuffix(chr(92)).rstrip()} {line.text.strip()}"
                found.append(Command(document, last.line, line.section, text))
            else:
                found.append(Command(document, line.number, line.section, line.text))
            continued = line.text.endswith("\\")
    return [each for each in found if section in (None, each.section)]


def mentions(document: str, program: str) -> list[Command]:
    """What stands in running text and tables between backticks and begins with a program."""
    return [
        Command(document, line.number, line.section, code)
        for line in lines(document)
        if not line.indented
        for code in _CODE.findall(line.text)
        if code.split()[:1] == [program]
    ]


class Page:
    """A document that a test follows; what it has not taken at the end was not followed."""

    def __init__(self, document: str) -> None:
        self.document = document
        self._left = commands(document)

    def section(self, name: str) -> list[str]:
        """The commands under a heading, in their order; each can be taken once."""
        found = [each for each in self._left if each.section == name]
        assert found, f"{self.document} has no commands under {name!r}, or they are taken"
        self._left = [each for each in self._left if each.section != name]
        return [each.text for each in found]

    def left(self) -> list[str]:
        """What nobody has taken."""
        return [str(each) for each in self._left]

    def other(self, section: str) -> list[str]:
        """The lines of the blocks under a heading that are no commands: content of files."""
        return [
            line.text
            for block in blocks(self.document)
            if not is_command(block[0].text)
            for line in block
            if line.section == section
        ]
