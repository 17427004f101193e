"""The settings: every key, its type, its unit, its default.

Each section is checked by itself and the relations between keys after that, so that one start shows
every fault. ``Settings()`` alone reads nothing: it is the defaults. ``shared.configuration`` reads.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared import timeframe
from shared.config_errors import Wrong
from shared.local_time import DAY_MINUTES, quiet_minutes, span_of, zone_of
from shared.redis_address import SCHEMES, BadAddress, completed, names_several, read_address

__all__ = [
    "Exchange",
    "Health",
    "Indicators",
    "Logging",
    "Notifier",
    "Redis",
    "Settings",
    "SignalRules",
    "Smtp",
    "Streams",
    "Telegram",
]

EMBEDDED_REDIS_URL = "redis://127.0.0.1:6379/0"
MASK = "********"


# --- the forms of single values ---------------------------------------------------------------


def _many(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _one_or_many(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise Wrong("has the same entry twice", "remove one of them")
    return values


def _known_timeframe(name: str) -> str:
    if name not in timeframe.INTERVALS_MS:
        raise Wrong(
            "is not a timeframe",
            f"use one of {' '.join(timeframe.NAMES)}",
            timeframe.nearest(name) or "",
        )
    return name


_QUOTES = "USDT|USDC|FDUSD|TUSD|BUSD|USD|EUR|TRY|BRL|JPY|BTC|ETH|BNB"


def _symbol(text: str) -> str:
    if re.fullmatch(r"[A-Z0-9]{1,20}/[A-Z0-9]{2,20}", text):
        return text
    parts = re.fullmatch(
        rf"([A-Z0-9]{{1,20}}?)[ /_:.-]?({_QUOTES})", text.strip().upper(), re.ASCII
    )
    near = f"{parts[1]}/{parts[2]}" if parts else ""
    raise Wrong("is not of the form BASE/QUOTE", "write it like BTC/USDT, in capitals", near)


def _level(text: object) -> object:
    return text.strip().upper() if isinstance(text, str) else text


def _address(text: str) -> str:
    form = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*"
    if not re.fullmatch(form, text):
        raise Wrong("is not an email address", "give the address alone, like me@example.com")
    return text


def _sender(text: str) -> str:
    """An address, or a name and an address: ``BTC Scanner <scanner@example.com>``."""
    named = re.fullmatch(r"[^\x00-\x1f\x7f<>\"@,;:]{1,60} <([^<>]+)>", text)
    try:
        _address(named[1] if named else text)
    except Wrong as wrong:
        raise Wrong(wrong.what, "like me@example.com or Name <me@example.com>") from None
    return text


def _chat(item: object) -> object:
    return str(item) if isinstance(item, int) and not isinstance(item, bool) else item


def _host(text: str) -> str:
    label = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    if len(text) > 253 or not re.fullmatch(
        rf"{label}([.]{label})*[.]?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", text
    ):
        raise Wrong("is not a host name", "give the name alone, like smtp.example.com")
    return text


def _one_line(text: str) -> str:
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        raise Wrong("contains a control character", "remove line breaks, tabs and broken letters")
    return text


def _secret_one_line(secret: SecretStr) -> SecretStr:
    _one_line(secret.get_secret_value())
    return secret


def _ping_url(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if text and not _split(text, ("http", "https")).hostname:
        raise Wrong("has no host", "write it like https://host/path")
    return secret


def _span(text: str) -> str:
    span_of(text)
    return text


def _zone(name: str) -> str:
    zone_of(name)
    return name


def _path(value: object) -> object:
    return (Path(value) if value else None) if isinstance(value, str) else value


def _split(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of a URL of one of the schemes; says nothing of what stood in it."""
    if re.search(r"[\s\x00-\x1f\x7f\ud800-\udfff]", text):
        raise Wrong("contains a space or control character", "remove it, or write it as %20")
    try:
        parts = urlsplit(text)
        port = parts.port  # the check happens on access
    except ValueError:
        parts, port = None, None
    if parts is None or port == 0:
        raise Wrong(
            "is not a URL with a valid host and port",
            "ports are 1 to 65535; write : / @ # of a password as %3A %2F %40 %23",
        )
    if parts.scheme not in schemes or not text.startswith(f"{parts.scheme}://"):
        near = get_close_matches(parts.scheme, schemes, n=1, cutoff=0.5)
        listed = " or ".join(f"{scheme}://" for scheme in schemes)
        raise Wrong(
            f"does not begin with {listed}",
            f"write it whole, like {schemes[-1]}://…",
            f"{near[0]}://" if near else "",
        )
    return parts


def _base_url(*schemes: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        parts = _split(text, schemes)
        if not parts.hostname:
            raise Wrong("has no host", f"write it like {schemes[-1]}://host:port")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise Wrong("is more than a base URL", "leave out user, password, ? and #")
        return text.rstrip("/")

    return check


def _redis_url(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text:
        return secret
    if names_several(text):
        _several_hosts(text)
        return secret
    parts = _split(text, ("redis", "rediss", *SCHEMES, "unix"))
    if parts.fragment:
        raise Wrong("contains a #", "write a # in the password as %23")
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or len(parts.path) < 2:
            raise Wrong("has no absolute path of a socket", "like unix:///run/redis/redis.sock")
        return secret
    if not parts.hostname:
        raise Wrong("has no host", "write it like redis://host:6379/0")
    if not re.fullmatch(r"(/[0-9]{0,4})?", parts.path):
        raise Wrong("names a database that is not a number", "end it with /0")
    return secret


def _several_hosts(text: str) -> None:
    try:
        read_address(text)
    except BadAddress as bad:
        raise Wrong(bad.what, bad.advice) from None


def _password_in(url: str) -> str:
    return (read_address(url).password if names_several(url) else urlsplit(url).password) or ""


def _redis_passwords(url: str) -> list[str]:
    _, _, query = url.partition("?")
    found = [value for key, value in parse_qsl(query) if "pass" in key.lower()]
    return [_password_in(url), *found]


def _masked_url(text: str) -> str:
    """The Redis URL with its password replaced, in the authority and in the query."""
    text = re.sub(r"^([a-z+]+://[^:/?#@]*:)[^/?#]*@", rf"\1{MASK}@", text)
    return re.sub(r"(?i)([?&][^=&]*pass[^=&]*=)[^&]*", rf"\1{MASK}", text)


Period = Annotated[int, Field(ge=1, le=5000)]
Length = Annotated[int, Field(ge=10, le=100_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Percent = Annotated[float, Field(ge=0, le=100)]
Multiplier = Annotated[float, Field(gt=0, le=1000)]
Timeframe = Annotated[str, AfterValidator(_known_timeframe)]
Timeframes = Annotated[
    tuple[Timeframe, ...], BeforeValidator(_many), AfterValidator(_distinct), Field(min_length=1)
]
HttpUrl = Annotated[str, AfterValidator(_base_url("http", "https"))]
WsUrl = Annotated[str, AfterValidator(_base_url("ws", "wss"))]
HttpUrls = Annotated[
    tuple[HttpUrl, ...], BeforeValidator(_many), AfterValidator(_distinct), Field(min_length=1)
]
WsUrls = Annotated[
    tuple[WsUrl, ...], BeforeValidator(_many), AfterValidator(_distinct), Field(min_length=1)
]
Address = Annotated[str, AfterValidator(_address)]
Addresses = Annotated[
    tuple[Address, ...],
    BeforeValidator(_one_or_many),
    AfterValidator(_distinct),
    Field(min_length=1),
]
Chat = Annotated[str, BeforeValidator(_chat), AfterValidator(_one_line)]
Chats = Annotated[tuple[Chat, ...], BeforeValidator(_one_or_many), AfterValidator(_distinct)]
Spans = Annotated[
    tuple[Annotated[str, AfterValidator(_span)], ...],
    BeforeValidator(_one_or_many),
    AfterValidator(_distinct),
]
Line = Annotated[str, AfterValidator(_one_line)]
Secret = Annotated[SecretStr, AfterValidator(_secret_one_line)]
File = Annotated[Path | None, BeforeValidator(_path)]


# --- the sections -----------------------------------------------------------------------------


class Section(BaseModel):
    """One section of the file: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Exchange(Section):
    """Where the candles come from, and when they count as late."""

    name: Literal["binance"] = Field(default="binance", description="The exchange.")
    symbol: Annotated[str, AfterValidator(_symbol)] = Field(
        default="BTC/USDT", description="The market, as BASE/QUOTE."
    )
    timeframes: Timeframes = Field(
        default=("1m", "5m"),
        description="Timeframes that give signals: 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h.",
    )
    rest_hosts: HttpUrls = Field(
        default=(
            "https://api.binance.com",
            "https://api-gcp.binance.com",
            "https://data-api.binance.vision",
        ),
        description="Base URLs of the REST interface, in the order in which they are tried.",
    )
    ws_hosts: WsUrls = Field(
        default=(
            "wss://stream.binance.com:9443",
            "wss://stream.binance.com:443",
            "wss://data-stream.binance.vision",
        ),
        description="Base URLs of the WebSocket streams, in the order in which they are tried.",
    )
    close_deadline_seconds: Seconds = Field(
        default=3.0,
        description="Seconds after a close, by the exchange's clock, before REST is asked for it.",
    )
    missing_after_seconds: Seconds = Field(
        default=30.0,
        description="Seconds after a close before a candle that REST does not have is marked "
        "missing; at least close_deadline_seconds.",
    )
    silence_seconds: Seconds = Field(
        default=30.0,
        description="Seconds without market data before a connection is given up, or without one "
        "of its streams before it is replaced.",
    )
    blind_after_seconds: Annotated[float, Field(gt=0, le=2_592_000)] = Field(
        default=60.0,
        description="Seconds by which a candle is overdue, by the exchange's clock, when the feed "
        "is told to be blind; at least close_deadline_seconds.",
    )
    max_clock_skew_seconds: Seconds | None = Field(
        default=2.0,
        description="Seconds by which our clock may differ from the exchange's before it is told; "
        "null = never.",
    )
    history_candles: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=1000,
        description="Candles of history per timeframe to load at a first start, at least; "
        "a number larger than the history means all of it.",
    )
    request_timeout_seconds: Seconds = Field(
        default=10.0, description="Seconds that one REST request may take."
    )

    @property
    def market(self) -> str:
        """The symbol as the exchange and the Redis keys write it, ``BTCUSDT``."""
        return self.symbol.replace("/", "")

    @property
    def base(self) -> str:
        """What is traded, ``BTC``."""
        return self.symbol.partition("/")[0]

    @property
    def quote(self) -> str:
        """What it is priced in, ``USDT``."""
        return self.symbol.partition("/")[2]


class Indicators(Section):
    """Periods, in closed candles."""

    ema_fast: Period = Field(
        default=9, description="Period of the fast EMA, in candles; less than ema_slow."
    )
    ema_slow: Period = Field(default=21, description="Period of the slow EMA, in candles.")
    ema_trend: Period = Field(
        default=50, description="Period of the EMA on the trend timeframe, in candles."
    )
    atr_period: Period = Field(default=14, description="Period of the ATR, in candles.")
    rsi_period: Period = Field(default=6, description="Period of the RSI, in candles.")
    volume_ma_period: Period = Field(
        default=20, description="Period of the mean volume, in candles."
    )


class SignalRules(Section):
    """What makes a signal, and what makes it a repetition."""

    volume_spike_threshold: Multiplier = Field(
        default=1.5, description="Volume must be above this many times its mean."
    )
    rsi_min: Percent = Field(
        default=30.0, description="Lowest RSI of a signal, 0 to 100; less than rsi_max."
    )
    rsi_max: Percent = Field(default=70.0, description="Highest RSI of a signal, 0 to 100.")
    stop_loss_atr_multiplier: Multiplier = Field(
        default=1.5, description="Distance from entry to stop loss, in ATR."
    )
    take_profit_atr_multiplier: Multiplier = Field(
        default=1.0, description="Distance from entry to take profit, in ATR."
    )
    duplicate_time_window_minutes: Annotated[float, Field(ge=0, le=10_080)] = Field(
        default=5.0,
        description="Minutes of market time in which a like signal is a repetition; 0 = never.",
    )
    duplicate_price_threshold_percent: Percent = Field(
        default=0.3,
        description="Percent by which the price must have moved for a like signal to be news.",
    )
    min_confidence: Annotated[int, Field(ge=1, le=5)] = Field(
        default=5, description="Factors that must be met, 1 to 5; the crossover is always needed."
    )
    max_signal_age_seconds: Annotated[float, Field(gt=0, le=31_536_000)] | None = Field(
        default=120.0,
        description="Seconds after which a signal is recorded but not sent; null = never stale.",
    )
    trend_timeframes: Mapping[Timeframe, Timeframe] = Field(
        default_factory=lambda: {"1m": "5m", "5m": "1h"},
        description="For each timeframe the longer one that gives its trend: a multiple of it.",
    )


class Redis(Section):
    """Where the streams live."""

    url: Annotated[SecretStr, AfterValidator(_redis_url)] = Field(
        default=SecretStr(""),
        description="URL of a server, sentinels or a cluster; empty = the program starts its own.",
    )
    password: Secret = Field(
        default=SecretStr(""),
        description="Password for url, which then holds none; better in REDIS_PASSWORD.",
    )
    ca_file: File = Field(
        default=None,
        description="File with the certificate authorities to trust (PEM), for rediss://; null = "
        "the system's.",
    )

    @property
    def effective_url(self) -> str:
        """The URL to connect to, complete. It may hold a password: never log it."""
        if self.embedded:
            return EMBEDDED_REDIS_URL
        return completed(
            self.url.get_secret_value(),
            self.password.get_secret_value(),
            str(self.ca_file or ""),
        )

    @property
    def embedded(self) -> bool:
        """True where no URL is set, so that the supervisor has to start a server."""
        return not self.url.get_secret_value()


class Streams(Section):
    """How much is kept, in entries per stream."""

    klines_maxlen: Length = Field(
        default=20_000, description="Entries kept per klines stream (one per timeframe)."
    )
    indicators_maxlen: Length = Field(
        default=20_000, description="Entries kept in the indicators stream (all timeframes)."
    )
    signals_maxlen: Length = Field(
        default=10_000, description="Entries kept in the signals stream."
    )
    events_maxlen: Length = Field(default=1000, description="Entries kept in the events stream.")
    dead_maxlen: Length = Field(
        default=10_000, description="Entries kept in each channel's stream of dead letters."
    )
    max_lead: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=10_000,
        description="Minutes of market time that a writer may run ahead of its slowest reader; "
        "less than klines_maxlen.",
    )


class Smtp(Section):
    """The mail server. Without this section no email is sent."""

    server: Annotated[str, AfterValidator(_host)] = Field(
        description="Host name of the mail server.", examples=["smtp.example.com"]
    )
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=465, description="Port; 465 with use_ssl true, 587 with use_ssl false."
    )
    user: Line = Field(default="", description="Login name; empty = no login.")
    password: Secret = Field(
        default=SecretStr(""), description="Password of user; better in SMTP_PASSWORD."
    )
    from_email: Annotated[str, AfterValidator(_sender)] = Field(
        description="Address of the sender, with or without a name: Name <me@example.com>.",
        examples=["scanner@example.com"],
    )
    to_email: Addresses = Field(
        description="Address of the recipient, or a list of them.", examples=["me@example.com"]
    )
    use_ssl: bool = Field(
        default=True, description="true = TLS from the first byte, false = STARTTLS is required."
    )
    ca_file: File = Field(
        default=None,
        description="File with the certificate authorities to trust (PEM); null = the system's.",
    )
    timeout_seconds: Seconds = Field(
        default=20.0, description="Seconds that one delivery may take."
    )


class Telegram(Section):
    """The Telegram bot."""

    enabled: bool = Field(default=False, description="true = send alerts to Telegram.")
    bot_token: Secret = Field(
        default=SecretStr(""),
        description="Token from @BotFather; better in TELEGRAM_BOT_TOKEN.",
    )
    chat_id: Chats = Field(
        default=(),
        description="Chat, or list of chats: a number or @channelname.",
        examples=[123456789],
    )
    api_url: HttpUrl = Field(
        default="https://api.telegram.org", description="Base URL of the Bot API."
    )
    timeout_seconds: Seconds = Field(
        default=15.0, description="Seconds that one delivery may take."
    )
    messages_per_second: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=30,
        description="Messages per second to all chats together, of all notifiers; "
        "Telegram allows a bot 30.",
    )
    chat_messages_per_second: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=1, description="Messages per second to one chat; Telegram allows 1."
    )
    group_messages_per_minute: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=20,
        description="Messages per minute to one group or channel; Telegram allows 20.",
    )


class Notifier(Section):
    """How deliveries are tried again."""

    events: bool = Field(
        default=True,
        description="Whether messages about the scanner itself (feed blind, service down, …) are "
        "sent; they are recorded either way.",
    )
    late_after_seconds: Seconds = Field(
        default=60.0, description="Seconds of age from which an alert is marked LATE."
    )
    claim_idle_seconds: Seconds = Field(
        default=60.0,
        description="Seconds after which an alert held by a dead process is taken over; more "
        "than the channels' timeout_seconds.",
    )
    retry_base_seconds: Seconds = Field(
        default=1.0, description="Seconds before the first retry; doubled for each further one."
    )
    retry_max_seconds: Seconds = Field(
        default=30.0,
        description="Longest pause between retries, in seconds; a broken channel is probed so "
        "often.",
    )
    give_up_after_hours: Annotated[float, Field(gt=0, le=8760)] = Field(
        default=24.0,
        description="Hours of age from which an alert is not tried again, but becomes a dead "
        "letter; less than ledger_ttl_hours.",
    )
    ledger_ttl_hours: Annotated[float, Field(gt=0, le=87_600)] = Field(
        default=168.0, description="Hours for which a delivery is remembered."
    )
    quiet_hours: Spans = Field(
        default=(),
        description="Times of each day in which signals are recorded and not sent, like "
        "22:00-07:00; one, or a list of them.",
        examples=["22:00-07:00"],
    )
    quiet_timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="Time zone of quiet_hours by its IANA name, like Europe/Berlin."
    )


class Health(Section):
    """Heartbeats of the services."""

    interval_seconds: Seconds = Field(default=2.0, description="Seconds between heartbeats.")
    ttl_seconds: Seconds = Field(
        default=30.0,
        description="Seconds after which a silent service is forgotten; "
        "more than interval_seconds.",
    )
    ping_url: Annotated[SecretStr, AfterValidator(_ping_url)] = Field(
        default=SecretStr(""),
        description="URL that is fetched every minute while all is well, for a service that calls "
        "you when that ends; empty = none.",
    )


class Logging(Section):
    """Console and file."""

    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_level)
    ] = Field(default="INFO", description="Least level that is logged.")
    file: Line = Field(
        default="logs/scanner.log",
        description="Log file; each service adds its name (logs/scanner-ingest.log). "
        "Empty = console only.",
    )
    rotation: Literal["daily", "hourly", "none"] = Field(
        default="daily", description="When a new file is begun, in UTC: daily, hourly or none."
    )
    retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=7, description="Days for which old log files are kept."
    )


# --- the whole --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Clash:
    """Keys that are right by themselves and wrong together; reported at the first."""

    paths: tuple[str, ...]
    what: str
    remedy: str
    near: str = ""


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
        return cast("dict[str, Any]", _plain(self, reveal=False))

    def revealed(self) -> dict[str, Any]:
        """All values as JSON types, secrets included: for a file that only its owner reads."""
        return cast("dict[str, Any]", _plain(self, reveal=True))

    def secrets(self) -> tuple[str, ...]:
        """Each secret that is set, as text: what the log must never show."""
        url = self.redis.effective_url
        own = self.redis.password.get_secret_value()
        found = [
            *_redis_passwords(url),
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


def _plain(value: object, *, reveal: bool) -> object:
    if isinstance(value, BaseModel):
        names = type(value).model_fields
        plain = {name: _plain(getattr(value, name), reveal=reveal) for name in names}
        if isinstance(value, Redis) and not reveal:
            plain["url"] = _masked_url(value.url.get_secret_value())
        return plain
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return text if reveal or not text else MASK
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


# --- relations between keys -------------------------------------------------------------------


def clashes(settings: Settings) -> Iterator[Clash]:
    """Everything that is wrong between keys which are each right."""
    yield from _rule_clashes(settings)
    for name in settings.exchange.timeframes:
        yield from _trend_clash(name, settings.signal_rules.trend_timeframes)
    yield from _stream_clashes(settings)
    yield from _deadline_clashes(settings)
    yield from _time_clashes(settings)
    yield from _quiet_clashes(settings.notifier)
    yield from _redis_clashes(settings.redis)
    if settings.smtp:
        yield from _smtp_clashes(settings.smtp)
    if settings.telegram.enabled:
        yield from _telegram_clashes(settings.telegram)


def _rule_clashes(settings: Settings) -> Iterator[Clash]:
    rules, periods = settings.signal_rules, settings.indicators
    if rules.rsi_min >= rules.rsi_max:
        yield Clash(
            ("signal_rules.rsi_min", "signal_rules.rsi_max"),
            f"{rules.rsi_min:g} is not less than rsi_max {rules.rsi_max:g}",
            "lower rsi_min or raise rsi_max; the defaults are 30 and 70",
        )
    if periods.ema_fast >= periods.ema_slow:
        yield Clash(
            ("indicators.ema_fast", "indicators.ema_slow"),
            f"{periods.ema_fast} is not less than ema_slow {periods.ema_slow}",
            "lower ema_fast or raise ema_slow; the defaults are 9 and 21",
        )


# Suggested where a timeframe has no trend of its own yet.
_USUAL_TREND = {
    "1m": "5m",
    "3m": "15m",
    "5m": "1h",
    "15m": "4h",
    "30m": "4h",
    "1h": "4h",
    "2h": "12h",
    "4h": "1d",
    "6h": "1d",
    "8h": "1d",
    "12h": "1d",
}


def _trend_clash(name: str, trends: Mapping[str, str]) -> Iterator[Clash]:
    paths = ("signal_rules.trend_timeframes", "exchange.timeframes")
    usual = _USUAL_TREND.get(name)
    if usual is None:
        yield Clash(
            ("exchange.timeframes", "signal_rules.trend_timeframes"),
            f"{name} has no longer timeframe to take its trend from",
            f"remove {name}; it can be the trend of a shorter one",
        )
        return
    trend = trends.get(name)
    if trend is None:
        yield Clash(
            paths,
            f"names no trend timeframe for {name}, which is in exchange.timeframes",
            f'add "{name}": "{usual}"',
        )
        return
    own_ms, trend_ms = timeframe.interval_ms(name), timeframe.interval_ms(trend)
    if trend_ms <= own_ms or trend_ms % own_ms:
        yield Clash(
            paths,
            f"{trend} is not longer than {name} and a multiple of it",
            f'for example "{name}": "{usual}"',
        )


def _stream_clashes(settings: Settings) -> Iterator[Clash]:
    streams = settings.streams
    if streams.max_lead >= streams.klines_maxlen:
        yield Clash(
            ("streams.max_lead", "streams.klines_maxlen"),
            f"{streams.max_lead} is not less than klines_maxlen {streams.klines_maxlen}: "
            "candles would be trimmed before they are read",
            "lower max_lead or raise klines_maxlen",
        )
    longest = max(settings.indicators.model_dump().values())
    if streams.klines_maxlen <= longest:
        yield Clash(
            ("streams.klines_maxlen", *(f"indicators.{key}" for key in Indicators.model_fields)),
            f"{streams.klines_maxlen} is not more than the longest period, {longest}",
            "raise it",
        )
    names = settings.exchange.timeframes
    if any(name not in settings.signal_rules.trend_timeframes for name in names):
        return  # reported elsewhere; without it the feed is not known
    per_minute = sum(60_000 / timeframe.interval_ms(name) for name in settings.feed_timeframes)
    if streams.max_lead * per_minute >= streams.indicators_maxlen:
        yield Clash(
            (
                "streams.max_lead",
                "streams.indicators_maxlen",
                "exchange.timeframes",
                "signal_rules.trend_timeframes",
            ),
            f"{streams.max_lead} minutes are {streams.max_lead * per_minute:.0f} entries of all "
            f"timeframes, not less than indicators_maxlen {streams.indicators_maxlen}",
            "lower max_lead or raise indicators_maxlen",
        )


def _deadline_clashes(settings: Settings) -> Iterator[Clash]:
    feed = settings.exchange
    for name in ("missing_after_seconds", "blind_after_seconds"):
        seconds: float = getattr(feed, name)
        if seconds < feed.close_deadline_seconds:
            yield Clash(
                (f"exchange.{name}", "exchange.close_deadline_seconds"),
                f"{seconds:g} is less than close_deadline_seconds {feed.close_deadline_seconds:g}",
                f"raise {name}",
            )


def _time_clashes(settings: Settings) -> Iterator[Clash]:
    notifier, health = settings.notifier, settings.health
    if notifier.retry_base_seconds > notifier.retry_max_seconds:
        yield Clash(
            ("notifier.retry_base_seconds", "notifier.retry_max_seconds"),
            f"{notifier.retry_base_seconds:g} is more than retry_max_seconds "
            f"{notifier.retry_max_seconds:g}",
            "lower it",
        )
    if notifier.give_up_after_hours >= notifier.ledger_ttl_hours:
        yield Clash(
            ("notifier.give_up_after_hours", "notifier.ledger_ttl_hours"),
            f"{notifier.give_up_after_hours:g} is not less than ledger_ttl_hours "
            f"{notifier.ledger_ttl_hours:g}: what was delivered would be forgotten, and sent again",
            "lower it or raise ledger_ttl_hours",
        )
    if health.ttl_seconds <= health.interval_seconds:
        yield Clash(
            ("health.ttl_seconds", "health.interval_seconds"),
            f"{health.ttl_seconds:g} is not more than interval_seconds "
            f"{health.interval_seconds:g}: a live service would seem dead",
            "raise ttl_seconds",
        )
    timeouts: dict[str, float] = {}
    if settings.smtp:
        timeouts["smtp"] = settings.smtp.timeout_seconds
    if settings.telegram.enabled:
        timeouts["telegram"] = settings.telegram.timeout_seconds
    for channel, timeout in timeouts.items():
        if notifier.claim_idle_seconds <= timeout:
            yield Clash(
                ("notifier.claim_idle_seconds", f"{channel}.timeout_seconds"),
                f"{notifier.claim_idle_seconds:g} is not more than {channel}.timeout_seconds "
                f"{timeout:g}: an alert would be taken over while it is being sent",
                "raise claim_idle_seconds or lower the timeout",
            )


def _quiet_clashes(notifier: Notifier) -> Iterator[Clash]:
    if len(quiet_minutes(map(span_of, notifier.quiet_hours))) == DAY_MINUTES:
        yield Clash(
            ("notifier.quiet_hours",),
            "is the whole day: no signal would ever be sent",
            "leave a time in which they are; ./btc-scanner mute silences signals for a while",
        )


def _redis_clashes(redis: Redis) -> Iterator[Clash]:
    url = redis.url.get_secret_value()
    own = url and (_password_in(url) or "password" in dict(parse_qsl(url.partition("?")[2])))
    if redis.password.get_secret_value() and own:
        yield Clash(
            ("redis.password", "redis.url"),
            "is set, and redis.url has a password of its own",
            "remove one of them",
        )
    if redis.ca_file is None:
        return
    if not url.startswith("rediss"):
        yield Clash(
            ("redis.ca_file", "redis.url"),
            "is of no use: redis.url is not encrypted",
            "write rediss:// in redis.url, or remove ca_file",
        )
    elif "ssl_ca_certs=" in url:
        yield Clash(
            ("redis.ca_file", "redis.url"),
            "is set, and redis.url has ssl_ca_certs",
            "remove one of them",
        )


def _smtp_clashes(smtp: Smtp) -> Iterator[Clash]:
    if smtp.user and not smtp.password:
        yield Clash(
            ("smtp.password", "smtp.user"),
            "is missing while smtp.user is set",
            "set the environment variable SMTP_PASSWORD, or remove user for a server without login",
        )
    if smtp.password and not smtp.user:
        yield Clash(
            ("smtp.user", "smtp.password"),
            "is missing while smtp.password is set",
            "set the login name, or remove the password",
        )


def _telegram_clashes(telegram: Telegram) -> Iterator[Clash]:
    token = telegram.bot_token.get_secret_value()
    if not token:
        yield Clash(
            ("telegram.bot_token",),
            "is missing while telegram.enabled is true",
            "set the environment variable TELEGRAM_BOT_TOKEN, or enabled to false",
        )
    elif not re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", token):
        yield Clash(
            ("telegram.bot_token",),
            "is not of the form of a bot token, digits:letters",
            "copy it whole from @BotFather",
        )
    if not telegram.chat_id:
        yield Clash(
            ("telegram.chat_id",),
            "is missing while telegram.enabled is true",
            "set it to the number of the chat, or to @channelname; or enabled to false",
        )
    for chat in telegram.chat_id:
        if not re.fullmatch(r"-?[1-9][0-9]{0,18}|@[A-Za-z][A-Za-z0-9_]{2,}", chat):
            yield Clash(
                ("telegram.chat_id",),
                "is not a chat",
                "give the number of the chat (negative for groups), or @channelname",
            )
