"""Which of Telegram's limits a message must fit."""

import pytest

from services.notifier.channels import Recipient, recipient
from services.notifier.rate_limits import Window, telegram_windows


def windows(who: Recipient) -> tuple[Window, ...]:
    return telegram_windows(who, per_second=30, chat_per_second=1, group_per_minute=20)


@pytest.mark.parametrize("chat", ["4242", "1"])
def test_a_message_to_a_person_must_fit_two_windows(chat: str) -> None:
    someone = recipient(chat)
    assert windows(someone) == (
        Window("all", 30, 1050),
        Window(f"chat:{someone.tag}", 1, 1050),
    )


@pytest.mark.parametrize("chat", ["-4242", "-1001234567890", "@signals"])
def test_a_message_to_a_group_or_channel_must_fit_a_third(chat: str) -> None:
    group = recipient(chat)
    *_, last = windows(group)
    assert last == Window(f"group:{group.tag}", 20, 63_000)
    assert len(windows(group)) == 3


def test_no_scope_names_the_chat() -> None:
    found = windows(recipient("-1001234567890"))
    assert not [each for each in found if "1001234567890" in each.scope]
