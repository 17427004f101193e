"""``btc-scanner demo --serve``: the simulated outside alone, for services in containers.

They find it under one host name, and everything they need to know in one configuration file.
"""

import asyncio
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from cli.demo_command import DEFAULT_SPEED, HISTORY_DAYS
from cli.outside_process import OutsideProcess, outside_process
from cli.pipeline import PipelineOptions, simulated
from cli.supervisor import run_until_signalled
from shared.settings import Settings
from shared.times import utc

_DAYS = 540
_EVERYWHERE = "0.0.0.0"  # noqa: S104 - in a network of its own
# WebSocket, REST, SMTP, Bot API, control.
PORTS = (9443, 9080, 9465, 9081, 9082)
_POLL_S = 0.5


def run(directory: Path, *, name: str, seed: int | None, speed: float | None) -> int:
    """Serve until stopped, also when the market is over: a second one would begin in the past."""
    chosen = random.randrange(1, 10_000) if seed is None else seed
    return run_until_signalled(_serve(directory, name, chosen, speed or DEFAULT_SPEED), stopped=0)


async def _serve(directory: Path, name: str, seed: int, speed: float) -> NoReturn:
    config = directory / "config.json"
    config.unlink(missing_ok=True)
    options = PipelineOptions(
        outside=[
            "--market", str(seed),
            "--days", str(_DAYS),
            "--history-days", str(HISTORY_DAYS),
            "--speed", f"{speed:g}",
            "--weight-limit", "0",
            "--host", _EVERYWHERE,
            "--name", name,
            "--ports", ",".join(map(str, PORTS)),
        ],
    )  # fmt: skip
    print(
        f"A simulated BTC market (seed {seed}, {speed:g} times real time), a mailbox and a Telegram"
        " stand-in; nothing leaves these containers.",
        flush=True,
    )
    async with outside_process(options.outside, directory / "outside") as outside:
        tree = simulated(Settings(), reachable(outside.addresses, name), "", options)
        config.touch(mode=0o600)
        config.write_text(json.dumps(tree, indent=2), encoding="utf-8")
        try:
            await _tell(outside)
        finally:
            # Who starts before the next outside does must not trust the authority of this one.
            config.unlink(missing_ok=True)


def reachable(addresses: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The addresses as others write them."""

    def named(url: str) -> str:
        parts = urlsplit(url)
        return parts._replace(netloc=f"{name}:{parts.port}").geturl()

    urls = {key: named(addresses[key]) for key in ("ws", "rest", "bot_api")}
    return {**addresses, **urls, "smtp": {**addresses["smtp"], "host": name}}


async def _tell(outside: OutsideProcess) -> NoReturn:
    """Print what arrives, and that the market is over."""
    over = False
    told = {"email": 0, "telegram": 0}
    while True:
        state = await outside.state()
        fresh = await outside.deliveries(told["email"], told["telegram"])
        for mail in fresh["email"]:
            print(f"email to {', '.join(mail['to'])}: {mail['subject']}", flush=True)
        for message in fresh["telegram"]:
            text = message["text"].replace("\n", "\n    ")
            print(f"Telegram to {message['chat_id']}:\n    {text}", flush=True)
        for channel in told:
            told[channel] += len(fresh[channel])
        if state["finished"] and not over:
            over = True
            print(
                f"The simulated market is over ({utc(state['clock_ms'])}). For another one:"
                " docker compose --profile demo down, and up again",
                flush=True,
            )
        await asyncio.sleep(_POLL_S)
