"""Telegram's HTML as the simulated Bot API reads it."""

import pytest

from sim.entities import Unparsable, parsed


@pytest.mark.parametrize(
    ("html", "seen"),
    [
        ("no markup", "no markup"),
        ("<b>bold</b> <i>italic <u>both</u></i>", "bold italic both"),
        ("<B>upper</b>", "upper"),
        ('<a href="https://example.com/?a=1&amp;b=2">link</a>', "link"),
        ("<a href='x'>y</a><a href=x>z</a>", "yz"),
        ('<pre><code class="language-python">1 &lt; 2</code></pre>', "1 < 2"),
        ('<span class="tg-spoiler">s</span><tg-spoiler>t</tg-spoiler>', "st"),
        ("<blockquote expandable>q</blockquote>", "q"),
        ("<b>ended without name</>", "ended without name"),
        ("&lt;&gt;&amp;&quot;", '<>&"'),
        ("&amp;lt;", "&lt;"),
        ("&nbsp;&apos;", "&nbsp;&apos;"),
        ("&#60;&#x1F600;&#0;", "<😀&#0;"),
        ("&lt without semicolon", "< without semicolon"),
        ("a & b > c", "a & b > c"),
        ("", ""),
    ],
)
def test_what_telegram_takes_is_shown_without_markup(html: str, seen: str) -> None:
    assert parsed(html) == seen


@pytest.mark.parametrize(
    ("html", "why"),
    [
        ("<br>", 'Unsupported start tag "br" at byte offset 0'),
        ("é<p>", 'Unsupported start tag "p" at byte offset 2'),
        ("1 < 2 >", 'Unsupported start tag "" at byte offset 2'),
        ("a<b", "Unclosed start tag at byte offset 1"),
        ("<a href='x", "Unclosed start tag at byte offset 0"),
        ("<b>x</b", "Unclosed end tag at byte offset 4"),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<i>x</em>", 'Unmatched end tag at byte offset 4, expected "</i>", found "</em>"'),
        ("<b><i>x</b></i>", 'Unmatched end tag at byte offset 7, expected "</i>", found "</b>"'),
        ("<b>x", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        (
            "<a href>x</a>",
            'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0',
        ),
        ("<a =x>y</a>", 'Empty attribute name in the tag "a" at byte offset 0'),
    ],
)
def test_what_telegram_refuses_is_refused_in_its_words(html: str, why: str) -> None:
    with pytest.raises(Unparsable) as refused:
        parsed(html)
    assert str(refused.value) == why
