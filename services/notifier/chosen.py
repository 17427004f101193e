"""Which channels this process serves: all that are configured, or those of ``--channels``."""

import argparse
from collections.abc import Sequence

from shared.runtime import WrongConfiguration
from shared.settings import Settings

_REMEDIES = {
    "email": "add the section smtp, or leave email out",
    "telegram": "set telegram.enabled true, or leave telegram out",
    "console": "it only stands in where neither email nor Telegram is configured; leave it out",
}


def extend(parser: argparse.ArgumentParser) -> None:
    """Add ``--channels``."""
    parser.add_argument(
        "--channels",
        type=_names,
        metavar="NAME[,NAME]",
        help="serve these alone (default: all that are configured)",
    )


def chosen_channels(settings: Settings, arguments: Sequence[str] | None = None) -> tuple[str, ...]:
    """What ``--channels`` says in ``arguments`` (those of the process, unless given).

    Raises:
        WrongConfiguration: One of them is not configured.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    extend(parser)
    names: tuple[str, ...] | None = parser.parse_known_args(arguments)[0].channels
    if names is None:
        return settings.channels
    for name in names:
        if name not in settings.channels:
            raise WrongConfiguration(
                f"--channels names {name}, which is not configured: {_REMEDIES[name]}"
            )
    return names


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in _REMEDIES:
            raise argparse.ArgumentTypeError(
                f"{name!r} is no channel; use {', '.join(_REMEDIES)}, like --channels email"
            )
    return names
