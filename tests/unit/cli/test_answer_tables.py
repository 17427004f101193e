"""The tables of docs/delivery.md are those of the code."""

import re
from typing import get_args

import pytest

from cli.answer_tables import FILE, filled, table
from services.notifier.channels import email_answers, telegram_answers
from services.notifier.channels.answers import Then


def test_the_file_is_up_to_date() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert filled(text) == text, "docs/delivery.md is not up to date: make docs"


@pytest.mark.parametrize(
    ("name", "rows"), [("email", email_answers.TABLE), ("telegram", telegram_answers.TABLE)]
)
def test_each_row_is_one_line_of_three_cells_without_placeholders(
    name: str, rows: tuple[object, ...]
) -> None:
    lines = table(name).splitlines()
    assert len(lines) == len(rows) + 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {4}
    assert "{" not in table(name)


def test_every_consequence_that_a_row_may_have_has_words() -> None:
    used = {row.then for row in (*email_answers.TABLE, *telegram_answers.TABLE)}
    assert used == set(get_args(Then))
    told = table("email") + table("telegram")
    for words in ("tried again", "dead letter of", "is paused", "plain text", "new chat"):
        assert f"{words}" in told


def test_a_file_without_the_markers_is_an_error_that_names_them() -> None:
    with pytest.raises(ValueError, match="<!-- email answers: make docs -->"):
        filled("# Delivery\n")


def test_what_stands_between_the_markers_is_replaced_and_nothing_else() -> None:
    text = FILE.read_text(encoding="utf-8")
    spoilt = text.replace("| the mail server …", "| somebody …").replace("| tried again |", "| |")
    assert spoilt != text
    assert filled(spoilt) == text
