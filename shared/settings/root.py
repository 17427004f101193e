"""The whole: all sections, checked together."""

from typing import Any, Self, cast
from urllib.parse import quote, unquote

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared import timeframe
from shared.config_errors import Wrong
from shared.settings.exchange import Exchange
from shared.settings.fields.redis_urls import passwords_in
from shared.settings.notifier import Notifier
from shared.settings.operation import Health, Logging
from shared.settings.plain import plain_value
from shared.settings.relations import clashes
from shared.settings.rules import Indicators, SignalRules
from shared.settings.smtp import Smtp
from shared.settings.storage import Redis, Streams
from shared.settings.telegram import Telegram


class Settings(BaseSettings):
    """Everything that can be set. Built by ``load_settings``; the constructor reads no source."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True
    )

    exchange: Exchange = Exchange()
    indicators: Indicators = Indicators()
    signal_rules: SignalRules = SignalRules()
    redis: Redis = Redis()
    streams: Streams = Streams()
    smtp: Smtp | None = None
    telegram: Telegram = Telegram()
    notifier: Notifier = Notifier()
    health: Health = Health()
    logging: Logging = Logging()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what ``load_settings`` hands in: it knows where each value came from."""
        return (init_settings,)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for clash in clashes(self):
            raise Wrong(f"{clash.paths[0]}: {clash.what}", clash.remedy, clash.near)
        return self

    @property
    def feed_timeframes(self) -> tuple[str, ...]:
        """What ingest subscribes to: the signal timeframes and their trends, longest first."""
        names = self.exchange.timeframes
        trends = (self.signal_rules.trend_timeframes[name] for name in names)
        return timeframe.longest_first((*names, *trends))

    @property
    def channels(self) -> tuple[str, ...]:
        """Where alerts go: email, telegram, and the console if there is neither."""
        found = [
            name for name, on in (("email", self.smtp), ("telegram", self.telegram.enabled)) if on
        ]
        return tuple(found) or ("console",)

    def masked(self) -> dict[str, Any]:
        """All values as JSON types, with each secret that is set as ``********``."""
        return cast("dict[str, Any]", plain_value(self, reveal=False))

    def revealed(self) -> dict[str, Any]:
        """All values as JSON types, secrets included: for a file that only its owner reads."""
        return cast("dict[str, Any]", plain_value(self, reveal=True))

    def secrets(self) -> tuple[str, ...]:
        """Each secret that is set, as text: what the log must never show."""
        url = self.redis.effective_url
        own = self.redis.password.get_secret_value()
        found = [
            *passwords_in(url),
            own,
            self.telegram.bot_token.get_secret_value(),
            self.health.ping_url.get_secret_value(),
        ]
        if self.smtp:
            found.append(self.smtp.password.get_secret_value())
        spelled = {
            form for text in found if text for form in (text, unquote(text), quote(text, ""))
        }
        return tuple(sorted(spelled, key=len, reverse=True))
