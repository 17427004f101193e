"""What there is to type: the tree of commands, their options and what ``--help`` says of them."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli import CHANNELS, commands

_INTRODUCTION = """\
Signals for scalp traders: closed Binance candles in, explained LONG and SHORT alerts out.
For education; not financial advice."""

_START = """\
Start here:
  btc-scanner demo             see it work: a simulated market, one minute, nothing to configure
  btc-scanner config check     is my config.json right?
  btc-scanner up               run it against the exchange
  btc-scanner doctor           something is wrong: what, and what to do

The configuration is the first of: --config PATH, $BTC_SCANNER_CONFIG, ./config.json,
/etc/btc-scanner/config.json. Any key can be set by the environment: BTC_SCANNER__SECTION__KEY.

Exit codes: 0 success, 1 failure or unhealthy, 2 wrong usage or configuration, 130 interrupted.
COMMAND --help tells more."""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """What was typed; ``handler`` is the function of the command."""
    # These defaults cannot be the parser's: argparse shares an option's default among all parsers
    # that have it, and a sub-parser's would then overwrite what was typed before the command.
    return build_parser().parse_args(arguments, argparse.Namespace(config=None, debug=False))


def build_parser() -> argparse.ArgumentParser:
    """The tree of commands."""
    common = _Parser(add_help=False)
    options = common.add_argument_group("options of every command")
    options.add_argument(
        "--config", metavar="PATH", type=Path, default=argparse.SUPPRESS,
        help="configuration file (JSON)",
    )  # fmt: skip
    options.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS,
        help="show the traceback of an unexpected error",
    )  # fmt: skip
    parser = _Parser(
        prog="btc-scanner",
        description=_INTRODUCTION,
        epilog=_START,
        parents=[common],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        name: str, handler: commands.Handler, summary: str, more: str = ""
    ) -> argparse.ArgumentParser:
        sentence = f"{summary[0].upper()}{summary[1:]}."
        added = choices.add_parser(
            name,
            help=summary,
            description=f"{sentence}\n\n{more}" if more else sentence,
            parents=[common],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(handler=handler)
        return added

    _add_demo(
        command("demo", commands.demo, "watch the scanner at work on a simulated market", _DEMO)
    )
    command("up", commands.up, "run the scanner against the configured exchange until stopped", _UP)
    _add_replay(
        command(
            "replay", commands.replay, "send a file of candles through the real services", _REPLAY
        )
    )
    _add_json(
        command("doctor", commands.doctor, "tell what is wrong with this installation", _DOCTOR)
    )
    _add_json(command("status", commands.status, "tell how each service is doing", _STATUS))
    _add_health(
        command("health", commands.health, "tell whether a service on this host is well", _HEALTH)
    )
    _add_signals(command("signals", commands.signals, "list the latest signals", _SIGNALS))
    _add_signals(
        command("events", commands.events, "list what happened to the scanner itself", _EVENTS)
    )
    _add_dead(
        command("dead", commands.no_command, "list, replay or drop what could not be sent", _DEAD),
        common,
    )
    _add_mute(
        command("mute", commands.mute, "record signals for a while instead of sending them", _MUTE)
    )
    command("unmute", commands.unmute, "send signals again", _UNMUTE)
    _add_test_alert(
        command("test-alert", commands.test_alert, "send a test by the real channels", _TEST_ALERT)
    )
    _add_redis_acl(
        command("redis-acl", commands.redis_acl, "make a Redis user for each service", _REDIS_ACL)
    )
    _add_config(command("config", commands.no_command, "check or show the configuration"), common)
    command("version", commands.version, "print the version")
    return parser


class _Parser(argparse.ArgumentParser):
    """With a suggestion for a misspelt command, where Python (3.14) has it."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.suggest_on_error = True


_DEMO = """\
Starts a Redis, a simulated exchange, a mailbox and a Telegram stand-in, and the four services as
processes, faster than real time. Alerts appear as they are delivered; a summary comes at the end.
Nothing leaves this machine and no configuration is needed. Ctrl-C ends it early."""

_UP = """\
Starts ingest, indicators, detector and notifier and restarts whichever dies. Without redis.url it
also runs a Redis of its own, with its data in run/redis beside the configuration file. Ctrl-C or
SIGTERM stops everything in order."""

_REPLAY = """\
Candles are read as time,open,high,low,close,volume (CSV, also .gz) or as Binance's archive files
(CSV or .zip). They pass through the four real services on a Redis of their own; no history counts
as stale. DIR receives signals.csv, deliveries.csv (as the mailbox and the Bot API saw them) and
summary.json (counts, speed, latency, memory).

With --chaos it is done twice: first undisturbed (into DIR/undisturbed), then while exchange, mail
server, Bot API, Redis and the services themselves fail, at least once in each hour of the market
(faults.json). The signals must be the same; summary.json tells what was lost or repeated."""

_DOCTOR = """\
Configuration, exchange, clock, Redis, mail server, Telegram, disks, Python, services: for each ok,
warn or fail, with the remedy. Sends no alert and shows no secret; takes at most 15 seconds.
Exits with 1 if anything failed, with 2 if the configuration cannot be used (the rest is still
looked at as far as possible)."""

_STATUS = """\
Health of each service, lengths and lags of the streams, the last candle per timeframe, which
factors of a signal are met, and what is pending and delivered per channel. Exits with 1 when
something is unhealthy."""

_HEALTH = """\
Asks the process itself, for health checks of container engines and for scripts: exits with 0 when
it is well, with 1 when it is starting, hangs, waits for something or does not run here, and says
which in one line. How all is, and what to do, is told by status."""

_SIGNALS = """\
Newest first, from the stream of the running scanner, with whether each was sent."""

_EVENTS = """\
Newest first: feeds that were blind, services that were down, data that Redis lost, and when that
ended. What stands now is shown by status."""


_DEAD = """\
A recipient who refused an alert, or could not be reached for notifier.give_up_after_hours, gets
no more attempts: the alert is kept as a dead letter. Once the cause is gone, replay it."""

_MUTE = """\
For so long (30m, 2h, 1d; at most 30d), or until so late (07:30, by notifier.quiet_timezone). All
signals of that time come in one message afterwards. Messages about the scanner itself still come.
Without a time it says whether signals are muted. Quiet hours of every day: notifier.quiet_hours."""

_UNMUTE = """\
Ends what mute began; what was muted is told within seconds."""

_TEST_ALERT = """\
Adds a signal that is marked TEST to the stream; the running notifier delivers it like any other,
also while signals are muted. Prints what each recipient's mail server or Telegram answered, or what
stands in the way. Exits with 1 unless everybody was reached."""

_REDIS_ACL = """\
Prints an ACL file for Redis (aclfile /etc/redis/users.acl): a user for each service and one for
these commands (operator), with new passwords, and no other. Each may only touch the keys of its
work, by the commands of its work. Then set redis.url to redis://ingest@HOST:6379/0 and so on, and
give each its password by REDIS_PASSWORD or a secret file redis_password."""


def _add_health(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", choices=("ingest", "indicators", "detector", "notifier"))
    parser.add_argument("--instance", help="its name among several of this service (default: 1)")


def _add_redis_acl(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passwords", type=Path, metavar="DIR",
        help="keep the passwords in DIR/USER/redis_password, and print only their hashes",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the ACL file")
    parser.add_argument(
        "--reload", action="store_true",
        help="then let the Redis at redis.url, if it runs, read its ACL file again",
    )  # fmt: skip
    _add_json(parser)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds", type=_positive, default=60.0, metavar="N", help="how long to run (default: 60)"
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="the market to simulate: same seed, same signals"
    )
    parser.add_argument(
        "--speed", type=_positive, metavar="N", help="market time per real time (default: chosen)"
    )

    parser.add_argument(
        "--serve", type=Path, metavar="DIR",
        help="only simulate, for services in containers, whose configuration is written to DIR",
    )  # fmt: skip
    parser.add_argument(
        "--name", default="localhost", help="with --serve: the host name of this machine for them"
    )


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "candles", type=Path, metavar="CANDLES", help="one-minute candles, oldest first"
    )
    parser.add_argument(
        "--speed", type=_speed, metavar="max|N", default=None,
        help="as fast as the services can, or N times real time (default: max)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where to write; made if absent"
    )
    parser.add_argument(
        "--chaos", type=int, metavar="SEED",
        help="then once more, under faults of all kinds drawn from this seed, and compare",
    )  # fmt: skip


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs: one JSON object")


def _add_signals(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", dest="count", type=_count, default=10, metavar="N", help="how many (default: 10)"
    )
    _add_json(parser)


def _add_mute(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "until", nargs="?", metavar="TIME", help="how long (30m, 2h, 1d), or until when (07:30)"
    )


def _add_test_alert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--channel", choices=("email", "telegram", "console"), help="only this one (default: all)"
    )
    parser.add_argument(
        "--timeout", type=_positive, default=30.0, metavar="N",
        help="seconds to wait for the answers (default: 30)",
    )  # fmt: skip


def _add_config(parser: argparse.ArgumentParser, common: "_Parser") -> None:
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = choices.add_parser(
        "check",
        parents=[common],
        help="list every fault, each with its remedy",
        description="Read the configuration and list every fault in it, each with its remedy.",
    )
    check.set_defaults(handler=commands.config_check)
    show = choices.add_parser(
        "show",
        parents=[common],
        help="print what applies, secrets masked",
        description="Print the settings as they apply: defaults, file and environment in one.",
    )
    show.set_defaults(handler=commands.config_show)


def _add_dead(parser: argparse.ArgumentParser, common: "_Parser") -> None:
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def choice(action: str, summary: str) -> argparse.ArgumentParser:
        sentence = f"{summary[0].upper()}{summary[1:]}."
        added = choices.add_parser(action, parents=[common], help=summary, description=sentence)
        added.set_defaults(handler=commands.dead, action=action)
        return added

    listed = choice("list", "list them, newest first")
    listed.add_argument("channel", nargs="?", choices=CHANNELS, help="only of this channel")
    which_one = "as listed, like email:1762094100500-0; or the ID of an alert: all its letters"
    shown = choice("show", "show all that is known of one")
    shown.add_argument("name", metavar="NAME", help=which_one)
    _add_json(listed)
    _add_json(shown)
    for changed in (choice("replay", "let the notifier try again"), choice("drop", "forget them")):
        which = changed.add_mutually_exclusive_group(required=True)
        which.add_argument("names", nargs="*", default=[], metavar="NAME", help=which_one)
        which.add_argument("--all", action="store_true", help="all there are")
        changed.add_argument("--channel", choices=CHANNELS, help="with --all: only of this one")


_ALL = 1_000_000_000


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _speed(text: str) -> float | None:
    return None if text == "max" else _positive(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    # More than a stream can hold, and than Redis takes, is all there is.
    return min(int(text), _ALL) if len(text) < 20 else _ALL
