"""The HTML of a mail: the same words as its text, and nothing that mail programs mistrust."""

import re
from html.parser import HTMLParser

import pytest

from services.notifier import event_message
from services.notifier.letter import Letter, Section
from services.notifier.message import Periods, letter
from shared.event import Event
from shared.quality import Quality
from shared.trade_signal import Side, example_signal

PERIODS = Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6)
EVENT = Event(
    "feed <BLIND> & \"dark\"", "feed:BTCUSDT", "blind", "ingest", "1", 5, True, 3, {"a_b": "<i>"}
)  # fmt: skip
LETTERS = [
    letter(example_signal(), PERIODS),
    letter(example_signal(side=Side.SHORT, quality=Quality(500, missing=2)), PERIODS, 250_000),
    letter(example_signal(test=True), PERIODS),
    event_message.letter(EVENT),
]
VOID = {"meta"}


class Reader(HTMLParser):
    """Keeps what is seen, and checks that tags are balanced."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and "title" not in self.open:
            self.seen.append(data.strip())


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def words_of(text: str) -> list[str]:
    """The text's facts one by one, without what only a text needs to tell them apart."""
    found = []
    for line in filter(None, text.split("\n")):
        row = re.fullmatch(r"(?:- )?([^:]+):(?: (.*))?", line)
        found += [part for part in row.groups() if part] if row else [line]
    return found


@pytest.mark.parametrize("given", LETTERS[:3])
def test_the_html_says_what_the_text_says_in_the_same_order(given: Letter) -> None:
    text = given.text.removeprefix("\n".join(given.notices)).lstrip("\n")
    assert read(given.html).seen == [*given.notices, *words_of(text)]


def test_whatever_is_shown_is_escaped() -> None:
    html = event_message.letter(EVENT).html
    assert "<BLIND>" not in html
    assert "<i>" not in html
    seen = read(html).seen
    assert '🟠 feed <BLIND> & "dark"' in seen
    assert seen[-2:] == ["A b", "<i>"]


@pytest.mark.parametrize("given", LETTERS)
def test_the_html_fetches_nothing_runs_nothing_and_leads_nowhere(given: Letter) -> None:
    tags = read(given.html).tags
    allowed = {"html", "head", "meta", "title", "body", "table", "tr", "td"}
    assert {name for name, _ in tags} == allowed
    for _, attributes in tags:
        assert not {"src", "href", "background", "action", "srcset"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
        assert "url(" not in (attributes.get("style") or "")
    assert "://" not in given.html


@pytest.mark.parametrize("given", LETTERS)
def test_the_html_leaves_light_and_dark_to_the_reader(given: Letter) -> None:
    tags = read(given.html).tags
    schemes = {tag.get("name"): tag.get("content") for name, tag in tags if name == "meta"}
    assert schemes["color-scheme"] == schemes["supported-color-schemes"] == "light dark"
    for name, attributes in tags:
        style = (attributes.get("style") or "").replace(" ", "")
        # Whoever paints a ground must also say what stands on it.
        assert ("background-color:" in style) == ("color:#ffffff" in style), name


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_coloured_text_can_be_read_in_either_mode() -> None:
    html = letter(example_signal(), PERIODS, 250_000).html
    texts = {c for c in re.findall(r"(?<![-\w])color:(#\w{6})", html) if c != "#ffffff"}
    [ground] = set(re.findall(r"background-color:(#\w{6})", html))
    assert texts
    for text in texts:
        assert contrast(text, "#ffffff") >= 4.5
        assert contrast(text, "#121212") >= 4
    assert contrast("#ffffff", ground) >= 4.5
    accents = [each.accent for each in LETTERS]
    assert min(contrast(accent, back) for accent in accents for back in ("#ffffff", "#121212")) > 3


@pytest.mark.parametrize("given", LETTERS)
def test_no_line_of_the_html_is_too_long_for_smtp(given: Letter) -> None:
    assert max(len(line.encode()) for line in given.html.split("\n")) < 998


def test_a_section_without_heading_has_no_dashes() -> None:
    given = Letter(
        "T", "#000000", (Section((("a", "1"),)), Section((("b", "2"),), "H")), ("N", "M")
    )
    assert given.text == "N\nM\n\nT\n\na: 1\n\nH:\n- b: 2"
