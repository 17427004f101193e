"""An email as a title and rows of facts: as plain text, and as HTML of the same words. Pure.

Mail programs understand little: tables, inline styles, no scripts. Text has no colour of its own,
so that it follows the reader's light or dark mode; what has a colour reads well on both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Section:
    """Some facts that belong together.

    Attributes:
        rows: What, and how much of it.
        heading: Above the rows, empty for none.
    """

    rows: tuple[tuple[str, str], ...]
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """What a mail says.

    Attributes:
        accent: The colour of its edge, as CSS has it.
        notices: What must be read before anything else.
    """

    title: str
    accent: str
    sections: tuple[Section, ...]
    notices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The plain text."""
        blocks = [["\n".join(self.notices)]] if self.notices else []
        blocks += [[self.title], *(list(_lines(section)) for section in self.sections)]
        return "\n\n".join("\n".join(lines) for lines in blocks)

    @property
    def html(self) -> str:
        """The HTML."""
        return "\n".join(_page(self)) + "\n"


def _lines(section: Section) -> Iterator[str]:
    if section.heading:
        yield f"{section.heading}:"
    dash = "- " if section.heading else ""
    for label, value in section.rows:
        yield f"{dash}{label}: {value}"


_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_WHOLE = "width:100%;border-collapse:collapse"
_TABLE = 'role="presentation" cellpadding="0" cellspacing="0" border="0" width="100%"'
# White on it, and it on white or black, has a contrast of 4.5 or more, or is no text.
_NOTICE = "#b45309"
_QUIET = "#757575"
_RULE = "1px solid #999999"


def _page(letter: Letter) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>'
    yield '<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield '<meta name="supported-color-schemes" content="light dark">'
    yield f"<title>{escape(letter.title)}</title>"
    yield '</head>\n<body style="margin:0;padding:0">'
    yield f'<table {_TABLE} style="{_WHOLE}">'
    yield '<tr><td align="center" style="padding:16px 8px">'
    style = f"{_WHOLE};max-width:480px;{_FONT};font-size:15px;line-height:22px"
    yield f'<table {_TABLE} style="{style}">'
    for notice in letter.notices:
        yield _wide(notice, f"background-color:{_NOTICE};color:#ffffff;font-weight:bold")
    yield _wide(letter.title, f"border-left:4px solid {letter.accent};font-size:18px;"
                "line-height:24px;font-weight:bold")  # fmt: skip
    for section in letter.sections:
        yield from _rows(section)
    yield "</table>\n</td></tr>\n</table>\n</body>\n</html>"


def _wide(text: str, style: str) -> str:
    return (
        f'<tr><td colspan="2" align="left" style="text-align:left;padding:10px 12px;{style}">\n'
        f"{escape(text)}\n</td></tr>"
    )


def _rows(section: Section) -> Iterator[str]:
    if section.heading:
        yield _wide(section.heading, f"padding-top:20px;font-size:13px;color:{_QUIET}")
    else:
        yield '<tr><td colspan="2" style="font-size:0;line-height:12px">&nbsp;</td></tr>'
    style = f"padding:6px 12px;border-bottom:{_RULE};vertical-align:top"
    for label, value in section.rows:
        yield (
            f'<tr><td align="left" style="{style};text-align:left">{escape(label)}</td>\n'
            f'<td align="right" style="{style};text-align:right;font-weight:bold">'
            f"{escape(value)}</td></tr>"
        )
