"""What each failure of the Bot API means.

aiogram's own classes are too slow to import here: stand-ins of the same names and attributes are
judged; the integration tests provoke the real ones.
"""

import pytest

from services.notifier.channels import Broken, Refused, TryAgain
from services.notifier.channels.telegram_answers import answer


class AiogramError(Exception):
    """The base of all."""


class ClientDecodeError(AiogramError):
    """A body that is no JSON."""


class TelegramAPIError(AiogramError):
    """With Telegram's words, and the library's around them."""

    def __init__(self, message: str = "", **more: object) -> None:
        super().__init__(f"Telegram server says - {message}")
        self.message = message
        for name, value in more.items():
            setattr(self, name, value)


class TelegramRetryAfter(TelegramAPIError):
    """429 with parameters."""


class TelegramMigrateToChat(TelegramAPIError):
    """400 with parameters."""


class TelegramBadRequest(TelegramAPIError):
    """400."""


class TelegramUnauthorizedError(TelegramAPIError):
    """401."""


class TelegramForbiddenError(TelegramAPIError):
    """403."""


class TelegramNotFound(TelegramAPIError):
    """404."""


class TelegramServerError(TelegramAPIError):
    """5xx."""


class RestartingTelegram(TelegramServerError):
    """500 with "restart"."""


class TelegramNetworkError(TelegramAPIError):
    """Everything of aiohttp's."""


class TelegramEntityTooLarge(TelegramNetworkError):
    """413."""


class ClientConnectorError(OSError):
    """aiohttp's."""


class ClientConnectorCertificateError(ClientConnectorError):
    """aiohttp's."""


class InvalidURL(ValueError):
    """aiohttp's; its text is the URL."""


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


SECRET = "https://api.telegram.org/bot42:S3CRET/sendMessage"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TelegramRetryAfter("Too Many Requests", retry_after=5), TryAgain, "5 s"),
        (TelegramMigrateToChat("upgraded", migrate_to_chat_id=-1007), Refused, "-1007"),
        (TelegramBadRequest("Bad Request: chat not found"), Refused, "telegram.chat_id"),
        (TelegramBadRequest("Bad Request: chat_id is empty"), Refused, "telegram.chat_id"),
        (TelegramBadRequest("Bad Request: can't parse entities"), Refused, "entities"),
        (TelegramUnauthorizedError("Unauthorized"), Broken, "telegram.bot_token"),
        (TelegramNotFound("Not Found"), Broken, "telegram.bot_token"),
        (TelegramForbiddenError("Forbidden: bot was blocked"), Refused, "unblock"),
        (TelegramServerError("Bad Gateway"), TryAgain, "Bad Gateway"),
        (RestartingTelegram("restart"), TryAgain, "restart"),
        (TelegramEntityTooLarge("Request Entity Too Large"), Refused, "too large"),
        (TelegramAPIError("Too Many Requests"), TryAgain, "slow down"),
        (TelegramAPIError("I'm a teapot"), TryAgain, "teapot"),
        (ClientDecodeError("<html>S3CRET</html>"), TryAgain, "not its own"),
        (TypeError("argument of type 'NoneType'"), TryAgain, "not its own"),
        (TimeoutError(), TryAgain, "in time"),
        (TelegramNetworkError(SECRET), TryAgain, "broke"),
        (caused(TelegramNetworkError(SECRET), TimeoutError()), TryAgain, "in time"),
        (caused(TelegramNetworkError(SECRET), ClientConnectorError(SECRET)), TryAgain, "reached"),
        (
            caused(TelegramNetworkError(SECRET), ClientConnectorCertificateError(SECRET)),
            Broken,
            "certificate",
        ),
        (caused(TelegramNetworkError(SECRET), InvalidURL(SECRET)), Broken, "telegram.api_url"),
        (ConnectionResetError(SECRET), TryAgain, "broke"),
        (RuntimeError(SECRET), TryAgain, "could not be asked"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_every_failure_has_an_answer(error: Exception, kind: type[Exception], words: str) -> None:
    answered = answer(error)
    assert type(answered) is kind
    assert words in answered.reason
    assert "S3CRET" not in answered.reason + answered.kind


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (TelegramRetryAfter("", retry_after=5), 5),
        (TelegramAPIError("Too Many Requests"), 30),
        (TelegramServerError("Bad Gateway"), None),
    ],
)
def test_the_peer_decides_how_long_to_wait(error: Exception, seconds: float | None) -> None:
    answered = answer(error)
    assert isinstance(answered, TryAgain)
    assert answered.after_seconds == seconds
