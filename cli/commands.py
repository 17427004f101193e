"""What each command does with what was typed.

Each command's module is imported when it is chosen, so that ``--help`` answers at once and one
command's imports never break another's.
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from shared import VERSION

if TYPE_CHECKING:
    from shared.settings import Settings

Handler = Callable[[argparse.Namespace], int]


def demo(chosen: argparse.Namespace) -> int:
    from cli import demo_command, outside_command  # noqa: PLC0415

    if chosen.serve is not None:
        return outside_command.run(
            chosen.serve, name=chosen.name, seed=chosen.seed, speed=chosen.speed
        )
    return demo_command.run(seconds=chosen.seconds, seed=chosen.seed, speed=chosen.speed)


def up(chosen: argparse.Namespace) -> int:
    from cli import up_command  # noqa: PLC0415
    from shared.configuration import find_config, load_settings  # noqa: PLC0415

    path = find_config(chosen.config)
    return up_command.run(load_settings(path), path)


def replay(chosen: argparse.Namespace) -> int:
    from cli import replay_command  # noqa: PLC0415

    return replay_command.run(
        chosen.candles,
        speed=chosen.speed,
        out=chosen.out,
        config=chosen.config,
        chaos=chosen.chaos,
    )


def doctor(chosen: argparse.Namespace) -> int:
    from cli.doctor import command  # noqa: PLC0415

    return command.run(chosen.config, chosen.json)


def status(chosen: argparse.Namespace) -> int:
    from cli.status import command  # noqa: PLC0415

    settings = _settings_of_a_running_scanner(chosen.config)
    return command.run(settings, chosen.config, chosen.json)


def health(chosen: argparse.Namespace) -> int:
    from cli import health_command  # noqa: PLC0415
    from shared.health_address import default_instance  # noqa: PLC0415

    instance = chosen.instance or default_instance(os.environ)
    return health_command.run(chosen.service, instance, chosen.config)


def signals(chosen: argparse.Namespace) -> int:
    from cli import signals_command  # noqa: PLC0415

    return signals_command.run(
        _settings_of_a_running_scanner(chosen.config), chosen.count, chosen.json
    )


def events(chosen: argparse.Namespace) -> int:
    from cli import events_command  # noqa: PLC0415

    return events_command.run(
        _settings_of_a_running_scanner(chosen.config), chosen.count, chosen.json
    )


def dead(chosen: argparse.Namespace) -> int:
    from cli import dead_command  # noqa: PLC0415

    return dead_command.run(_settings_of_a_running_scanner(chosen.config), chosen)


def mute(chosen: argparse.Namespace) -> int:
    from cli import mute_command  # noqa: PLC0415

    return mute_command.mute(_settings_of_a_running_scanner(chosen.config), chosen.until)


def unmute(chosen: argparse.Namespace) -> int:
    from cli import mute_command  # noqa: PLC0415

    return mute_command.unmute(_settings_of_a_running_scanner(chosen.config))


def test_alert(chosen: argparse.Namespace) -> int:
    from cli import test_alert_command  # noqa: PLC0415

    settings = _settings_of_a_running_scanner(chosen.config)
    return test_alert_command.run(settings, chosen.config, chosen.channel, chosen.timeout)


def config_check(chosen: argparse.Namespace) -> int:
    from cli import config_command  # noqa: PLC0415

    return config_command.check(chosen.config)


def config_show(chosen: argparse.Namespace) -> int:
    from cli import config_command  # noqa: PLC0415

    return config_command.show(chosen.config)


def no_command(chosen: argparse.Namespace) -> int:
    raise AssertionError(chosen)  # argparse insists on one of its own commands


def redis_acl(chosen: argparse.Namespace) -> int:
    from cli import redis_acl_command  # noqa: PLC0415

    code = redis_acl_command.run(chosen.passwords, chosen.out, as_json=chosen.json)
    return redis_acl_command.reload(chosen.config) if chosen.reload and code == 0 else code


def version(chosen: argparse.Namespace) -> int:
    print(f"btc-scanner {VERSION} (Python {sys.version.split()[0]})")
    return 0


def _settings_of_a_running_scanner(config: Path | None) -> "Settings":
    """The settings; without redis.url, with the address of the Redis that ``up`` runs."""
    from cli.embedded_redis import running_url  # noqa: PLC0415
    from cli.up_command import redis_directory, redis_variables  # noqa: PLC0415
    from shared.configuration import find_config, load_settings  # noqa: PLC0415

    path = find_config(config)
    settings = load_settings(path)
    if settings.redis.embedded:
        url = running_url(redis_directory(path))
        if url is not None:
            return load_settings(path, {**os.environ, **redis_variables(url, ours=True)})
    return settings
