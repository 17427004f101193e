"""``--channels``: what it accepts, and what it says to the rest."""

import pytest

from services.notifier.chosen import chosen_channels
from shared.runtime import WrongConfiguration
from shared.settings import Settings, Smtp, Telegram

BOTH = Settings(
    smtp=Smtp(server="mail.example.com", from_email="a@example.com", to_email="b@example.com"),
    telegram=Telegram(enabled=True, bot_token="42:abc", chat_id=7),
)


@pytest.mark.parametrize(
    ("arguments", "channels"),
    [
        ([], ("email", "telegram")),
        (["--channels", "email"], ("email",)),
        (["--channels=telegram"], ("telegram",)),
        (["--channels", "telegram, email,email"], ("telegram", "email")),
        (["--instance", "2", "--channels", "email", "--config", "x.json"], ("email",)),
    ],
    ids=["all", "one", "the other", "both", "among others"],
)
def test_the_channels_are_all_or_those_that_were_chosen(
    arguments: list[str], channels: tuple[str, ...]
) -> None:
    assert chosen_channels(BOTH, arguments) == channels


@pytest.mark.parametrize(
    ("settings", "name", "remedy"),
    [
        (Settings(), "email", "add the section smtp"),
        (Settings(), "telegram", "set telegram.enabled true"),
        (BOTH, "console", "leave it out"),
    ],
    ids=["email", "telegram", "console"],
)
def test_a_channel_that_is_not_configured_names_its_remedy(
    settings: Settings, name: str, remedy: str
) -> None:
    with pytest.raises(WrongConfiguration, match=f"names {name}, which is not configured") as error:
        chosen_channels(settings, ["--channels", name])
    assert remedy in str(error.value)


@pytest.mark.parametrize("text", ["pigeon", "email,pigeon", "", "email telegram"])
def test_what_is_no_channel_is_wrong_usage(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        chosen_channels(BOTH, ["--channels", text])
    assert end.value.code == 2
    assert "is no channel; use email, telegram, console" in capsys.readouterr().err
