"""``config check`` and ``config show``: is the configuration right, and what applies?"""

import json
import os
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.config_errors import ConfigError
from shared.configuration import find_config, holds_secret, load_settings
from shared.settings import Settings

EXIT_FAULTY = 2
_DEFAULTS = "no configuration file; defaults and environment apply"


def check(config: Path | None) -> int:
    """Print what the configuration amounts to, or everything that is wrong with it."""
    try:
        path = find_config(config)
        settings = load_settings(path)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_FAULTY
    print(f"OK: {path or _DEFAULTS}")
    for name, text in _summary(settings):
        print(f"  {name:<12}{text}")
    for text in _warnings(settings, path):
        print(f"warning: {text}", file=sys.stderr)
    return 0


def show(config: Path | None) -> int:
    """Print all settings as they apply, as JSON, with secrets masked."""
    try:
        settings = load_settings(config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return EXIT_FAULTY
    print(json.dumps(settings.masked(), indent=2))
    return 0


def _summary(settings: Settings) -> Iterator[tuple[str, str]]:
    exchange, trends = settings.exchange, settings.signal_rules.trend_timeframes
    yield "market", f"{exchange.symbol} on {exchange.name}"
    yield (
        "timeframes",
        ", ".join(f"{name} (trend {trends[name]})" for name in exchange.timeframes),
    )
    yield "alerts", "; ".join(_channels(settings))
    if settings.notifier.quiet_hours:
        spans = ", ".join(settings.notifier.quiet_hours)
        yield "quiet", f"{spans} ({settings.notifier.quiet_timezone})"
    yield "redis", settings.masked()["redis"]["url"] or "none set: the program starts its own"
    log = settings.logging
    yield "log", f"{log.file or 'console only'}, {log.level} and above"


def _channels(settings: Settings) -> Iterator[str]:
    smtp, telegram = settings.smtp, settings.telegram
    if smtp:
        yield f"email to {', '.join(smtp.to_email)} by {smtp.server}:{smtp.port}"
    if telegram.enabled:
        yield f"telegram to {', '.join(telegram.chat_id)}"
    if "console" in settings.channels:
        yield "console"


def _warnings(settings: Settings, path: Path | None) -> Iterator[str]:
    if "console" in settings.channels:
        yield (
            "neither email nor telegram is set up: alerts go to the console "
            "(add a section smtp, or set telegram.enabled)"
        )
    if settings.smtp:
        port, implicit = settings.smtp.port, settings.smtp.use_ssl
        if (port == 465 and not implicit) or (port in {25, 587} and implicit):
            yield (
                f"smtp.port {port} with smtp.use_ssl {json.dumps(implicit)} is unusual: "
                "465 goes with true, 587 with false"
            )
        if settings.smtp.server.endswith("example.com"):
            yield "smtp.server is still that of the example"
    # Were it readable by everybody, it would have been refused.
    if path and _readable_by_others(path) and holds_secret(_written(path)):
        yield (f"{path} holds a secret and others can read it: chmod 600 {shlex.quote(str(path))}")


def _readable_by_others(path: Path) -> bool:
    return bool(stat.S_IMODE(os.stat(path).st_mode) & 0o077)


def _written(path: Path) -> dict[str, Any]:
    """What stands in the file itself, which is known to be right."""
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8-sig"))
    return values
