"""``btc-scanner up``: the four services on the configured exchange and channels."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from cli.embedded_redis import running_redis
from cli.redis_keeper import kept_running
from cli.supervisor import SERVICES, ServiceSpec, Supervisor, run_until_signalled, services
from shared.settings import Settings

REDIS_URL_VARIABLE = "BTC_SCANNER__REDIS__URL"
_REDIS_PASSWORD_VARIABLE = "BTC_SCANNER__REDIS__PASSWORD"  # noqa: S105 - its name


def redis_directory(config: Path | None) -> Path:
    """Where our own Redis keeps its data: beside the configuration, else where we stand.

    A configuration in a folder that we may not write, such as /etc, is no place for data.
    """
    if config is not None and os.access(config.absolute().parent, os.W_OK):
        return config.absolute().parent / "run" / "redis"
    return Path.cwd() / "run" / "redis"


def redis_variables(url: str, *, ours: bool) -> dict[str, str]:
    """What makes services use the server at ``url``; ours wants no password."""
    return {REDIS_URL_VARIABLE: url, **({_REDIS_PASSWORD_VARIABLE: ""} if ours else {})}


def run(settings: Settings, config: Path | None) -> int:
    """Supervise the services until SIGINT or SIGTERM; a stop that was asked for is success."""
    code = run_until_signalled(supervise(settings, config, services(config)), stopped=0)
    _say("Stopped.")
    return code


async def supervise(settings: Settings, config: Path | None, specs: list[ServiceSpec]) -> int:
    """Redis, and the services on it; ends only by cancellation or an error."""
    exchange = settings.exchange
    if config is None:
        _say("No config.json here: the defaults apply. Copy config.example.json to change them.")
    directory = redis_directory(config)
    async with running_redis(settings.redis.url.get_secret_value(), directory) as redis:
        kept = "" if redis.pid is None else f", data in {_shown(directory)}"
        _say(f"Redis: {redis}{kept}")
        variables = redis_variables(redis.url, ours=redis.pid is not None)
        async with (
            kept_running(redis, _say),
            Supervisor(specs, environment=variables, say=_say),
        ):
            _say(
                f"Watching {exchange.symbol} ({', '.join(exchange.timeframes)}) with "
                f"{', '.join(SERVICES)}; alerts go to {', '.join(settings.channels)}. "
                "Ctrl-C stops."
            )
            await asyncio.Event().wait()
    raise AssertionError  # unreachable: nobody sets that event


def _shown(path: Path) -> str:
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _say(line: str) -> None:
    with suppress(OSError):  # the terminal may have been closed; that is no reason to end
        print(line, flush=True)
