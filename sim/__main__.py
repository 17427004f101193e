"""``python -m sim``: the simulated outside as one process, announced by one JSON line on stdout.

It never outlives whoever started it: on Linux the kernel ends it with its parent, and
``--until-stdin-closes`` does the same everywhere.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from sim.bot_api import BotApi
from sim.candles import MINUTE_MS, Candles, Malformed, load_candles, without
from sim.control import Control
from sim.exchange import Exchange, Impossible
from sim.mailbox import Mailbox
from sim.market import generate
from sim.outside import Impossible as ImpossibleFault
from sim.outside import Outside
from sim.redis_proxy import BadAddress, RedisProxy
from sim.schedule import BadSchedule, Fault, parse_schedule

PR_SET_PDEATHSIG = 1

# A synthetic market starts here unless --start says otherwise; any Monday would do.
MARKET_START_MS = 1_735_516_800_000


def main() -> int:
    """Run until told to stop; the exit status."""
    arguments = _parser().parse_args()
    _die_with_parent()
    _quieten()
    try:
        candles, start_ms = _candles(arguments)
        for window in arguments.maintenance:
            candles = without(candles, *window)
        schedule = _schedule(arguments.schedule)
        asyncio.run(_serve(arguments, candles, start_ms, schedule))
    except (Malformed, BadSchedule, BadAddress, Impossible, ImpossibleFault) as error:
        print(f"sim: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"sim: cannot open a port on {arguments.host}: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(
    arguments: argparse.Namespace,
    candles: Candles,
    start_ms: int | None,
    schedule: Sequence[Fault],
) -> None:
    ws, rest, smtp, bot, control_port = arguments.ports
    async with AsyncExitStack() as stack:
        directory = arguments.dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="sim-"))
        )
        exchange = Exchange(
            candles,
            symbol=arguments.symbol,
            speed=arguments.speed,
            start_ms=start_ms,
            host=arguments.host,
            ws_port=ws,
            rest_port=rest,
            seed=arguments.market or 0,
            late_close_ms=arguments.late_close_ms,
            rest_lag_ms=arguments.rest_lag_ms,
            weight_limit=arguments.weight_limit,
            idle_minutes_per_second=arguments.idle_minutes_per_second,
            lifetime_ms=arguments.lifetime_minutes and arguments.lifetime_minutes * MINUTE_MS,
        )
        mailbox = Mailbox(
            directory,
            mode=arguments.smtp_mode,
            host=arguments.host,
            port=smtp,
            names=arguments.name,
        )
        redis_proxy = RedisProxy(*arguments.redis_proxy) if arguments.redis_proxy else None
        bot_api = BotApi(host=arguments.host, port=bot)
        outside = Outside(exchange, mailbox, bot_api, redis_proxy)
        outside.obey(schedule)
        control = Control(outside)
        _on_signals(control.quit)
        await stack.enter_async_context(outside)
        url = await stack.enter_async_context(control.serve(arguments.host, control_port))
        if arguments.until_stdin_closes:
            _end_with_stdin(control.quit)
        # What is loaded now stays: the collector need not look at it again.
        gc.freeze()
        print(json.dumps(outside.addresses() | {"control": url}), flush=True)
        await control.quit.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim", description="The simulated outside.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--candles", metavar="FILE", help="1m candles: .csv, .csv.gz or .zip")
    source.add_argument("--market", metavar="SEED", type=int, help="a synthetic market")
    parser.add_argument("--days", type=_positive, default=3, help="length of the synthetic market")
    parser.add_argument(
        "--history-days", type=int, default=0, help="synthetic candles before the start"
    )
    parser.add_argument("--symbol", default="BTC/USDT")
    parser.add_argument("--speed", type=_speed, default="max", help='"max" or market seconds per s')
    parser.add_argument("--start", type=_moment, help="where the clock starts: ms or ISO time, UTC")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument(
        "--ports",
        type=_ports,
        default=[0] * 5,
        metavar="WS,REST,SMTP,BOT,CONTROL",
        help="0 takes any free port",
    )
    parser.add_argument("--smtp-mode", choices=("tls", "starttls", "plain"), default="tls")
    parser.add_argument(
        "--name", action="append", default=[], help="host name for the mailbox's certificate"
    )
    parser.add_argument("--dir", type=Path, help="for certificates (default: a temporary one)")
    parser.add_argument("--late-close-ms", type=_range, default=(5, 50), metavar="FROM,TO")
    parser.add_argument("--rest-lag-ms", type=int, default=0)
    parser.add_argument("--weight-limit", type=int, default=6000, help="0 for none")
    parser.add_argument("--idle-minutes-per-second", type=_positive, default=600)
    parser.add_argument(
        "--lifetime-minutes", type=_positive, help="of a stream connection (market time)"
    )
    parser.add_argument(
        "--maintenance",
        type=_span,
        action="append",
        default=[],
        metavar="FROM,TO",
        help="minutes without candles: ms or ISO times, UTC; may be repeated",
    )
    parser.add_argument("--schedule", type=Path, metavar="FILE", help="faults to come (JSON)")
    parser.add_argument(
        "--redis-proxy",
        nargs="+",
        metavar="URL",
        help="a Redis to stand before, and where to listen (default: any port)",
    )
    parser.add_argument("--until-stdin-closes", action="store_true")
    return parser


def _candles(arguments: argparse.Namespace) -> tuple[Candles, int | None]:
    """The candles, and where the clock starts in them."""
    if arguments.candles is not None:
        return load_candles(arguments.candles), arguments.start
    start_ms = MARKET_START_MS if arguments.start is None else arguments.start
    start_ms -= start_ms % MINUTE_MS
    days = arguments.days + arguments.history_days
    first_ms = start_ms - arguments.history_days * 1440 * MINUTE_MS
    return generate(arguments.market, days, first_ms), start_ms


def _schedule(path: Path | None) -> list[Fault]:
    if path is None:
        return []
    try:
        return parse_schedule(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, BadSchedule) as error:
        raise BadSchedule(f"{path}: cannot be used as a schedule: {error}") from error


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def _speed(text: str) -> float | str:
    try:
        return text if text == "max" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor max") from None


def _moment(text: str) -> int:
    """Milliseconds since the epoch, from such a number or an ISO time."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither milliseconds nor an ISO time"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _span(text: str) -> tuple[int, int]:
    start, comma, end = text.partition(",")
    if not comma:
        raise argparse.ArgumentTypeError(f"{text!r}: two times with a comma are needed")
    return _moment(start), _moment(end)


def _ports(text: str) -> list[int]:
    return _numbers(text, 5)


def _range(text: str) -> tuple[int, int]:
    low, high = _numbers(text, 2)
    return low, high


def _numbers(text: str, count: int) -> list[int]:
    parts = text.split(",")
    if len(parts) != count or not all(part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r}: {count} numbers with commas are needed")
    return [int(part) for part in parts]


def _on_signals(event: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)


def _end_with_stdin(event: asyncio.Event) -> None:
    try:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _watch_stdin, event)
    except PermissionError:
        raise Impossible("--until-stdin-closes needs a pipe or terminal as stdin") from None


def _watch_stdin(event: asyncio.Event) -> None:
    """End when stdin does; what comes before that is ignored."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        event.set()


def _quieten() -> None:
    """Clients that vanish are our trade: only what is wrong with ourselves is worth a line."""
    logging.basicConfig(level=logging.WARNING, format="sim: %(message)s")
    for name in ("mail.log", "websockets.server"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the process that started us ends."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended before we asked
        sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
