"""``make bench``: every measure as a figure, its reference from the same run, and their ratio.

Latency is taken from the moment the simulated exchange hands a closing frame to its socket to the
moment an observer in another process has read the entry, or the peer has accepted the message; so
it includes the observer's own read, and is an upper bound of what the scanner takes. Machines are
noisy: the references (bare Redis hops, bare sends to the same peers) run interleaved with it.
"""

import argparse
import asyncio
import json
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import aiosmtplib

from cli.measure import Costs, bare_clients, hop_ns, quantiles_ms
from cli.observe import SignalWatch, latencies, periods_of, read_signals, totals, undelivered
from cli.pipeline import Pipeline, PipelineOptions, running_pipeline
from cli.replay_record import join_deliveries
from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Indicators, Settings, SignalRules

_HOP_EVERY_S = 0.05
_POLL_S = 0.1
_SETTLED_S = 10.0


@dataclass(frozen=True, slots=True)
class Measure:
    """One line of the report; ``target`` is what design and users expect."""

    what: str
    figure: str
    reference: str
    ratio: str
    target: str


def main() -> int:
    """Run all measures; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of the latency run")
    parser.add_argument("--days", type=int, default=20, help="of the catch-up run")
    parser.add_argument("--json", action="store_true", help="for programs")
    chosen = parser.parse_args()
    measures = asyncio.run(_all(chosen.seconds, chosen.days))
    if chosen.json:
        rows = [
            {name: getattr(each, name) for name in Measure.__dataclass_fields__}
            for each in measures
        ]
        print(json.dumps(rows, indent=2))
    else:
        _print(measures)
    return 0


async def _all(seconds: float, days: int) -> list[Measure]:
    measures = await _latency(seconds)
    measures += await _live_pace(min(seconds, 60))
    measures += await _catch_up(days)
    return measures


def _busy_rules() -> Settings:
    """Fast EMAs, and every crossover a signal: the same path, many more samples."""
    return Settings(
        indicators=Indicators(ema_fast=2, ema_slow=3),
        signal_rules=SignalRules(min_confidence=1, duplicate_time_window_minutes=0),
    )


async def _latency(seconds: float) -> list[Measure]:
    """Closing frame to stream, mailbox and Bot API, against bare hops and sends."""
    speed = 600.0
    options = _market(days=int(seconds * speed / 86_400) + 2, speed=f"{speed:g}")
    _say(f"latency: {seconds:.0f} s at {speed:g} times real time, a signal at every crossover")
    async with _pipeline(_busy_rules(), options) as pipeline:
        watch, bare = SignalWatch(), _Bare(pipeline)
        access = RedisAccess(pipeline.server.url, name="watch")
        await _caught_up(pipeline)
        since_ms = (await pipeline.outside.state())["clock_ms"]  # what came before was catching up
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(watch.follow(access)), group.create_task(bare.run())]
            await asyncio.sleep(seconds)
            await _delivered(pipeline)
            for task in tasks:
                task.cancel()
        costs = Costs(pipeline.supervisor)
        costs.sample()
        found = await read_signals(pipeline.access)
        signals = [each for each in found if not each.stale and each.close_time_ms > since_ms]
        received = await pipeline.outside.deliveries()
        deliveries = join_deliveries(signals, received, periods_of(pipeline.settings))
        taken = await latencies(pipeline, signals, watch, deliveries)
        await access.close()
    hop, in_a_row = quantiles_ms(bare.hops), quantiles_ms(_three_in_a_row(bare.hops))
    memory = costs.pss_mb()
    signal = taken["frame_to_signal"]
    return [
        Measure(
            f"closing frame -> signals, p50 of {signal['count']}",
            f"{signal['p50']:.2f} ms",
            f"three bare Redis hops: {3 * hop['p50']:.2f} ms",
            f"{signal['p50'] / (3 * hop['p50']):.2f}",
            "<= 2.5",
        ),
        Measure(
            "closing frame -> signals, p99",
            f"{signal['p99']:.2f} ms",
            f"three bare Redis hops, p99: {in_a_row['p99']:.2f} ms",
            f"{signal['p99'] / in_a_row['p99']:.2f}",
            "<= 10 ms",
        ),
        _peer("closing frame -> SMTP accepted, p50", taken["frame_to_email"], bare.smtp, "p50"),
        _peer("closing frame -> SMTP accepted, p99", taken["frame_to_email"], bare.smtp, "p99"),
        _peer("closing frame -> Bot API, p50", taken["frame_to_telegram"], bare.bot, "p50"),
        _peer("closing frame -> Bot API, p99", taken["frame_to_telegram"], bare.bot, "p99"),
        Measure(
            "memory, PSS of the four services",
            f"{memory['sum']:.0f} MB",
            ", ".join(f"{name} {size:.0f}" for name, size in memory.items() if name != "sum"),
            f"{memory['sum'] / 200:.2f}",
            "< 200 MB",
        ),
    ]


def _three_in_a_row(hops: Sequence[int]) -> list[int]:
    """What each three consecutive hops took: a single one meets a busy processor more rarely."""
    return [sum(hops[at : at + 3]) for at in range(0, len(hops) - 2, 3)]


def _peer(what: str, taken: dict[str, Any], bare_ns: Sequence[int], share: str) -> Measure:
    bare = quantiles_ms(bare_ns)
    return Measure(
        what,
        f"{taken[share]:.2f} ms",
        f"the same send alone: {bare[share]:.2f} ms",
        f"{taken[share] / bare[share]:.2f}",
        "<= 25 ms" if share == "p50" else "",
    )


class _Bare:
    """References taken while the scanner runs: Redis hops, and sends to the same peers."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.hops: list[int] = []
        self.smtp: list[int] = []
        self.bot: list[int] = []

    async def run(self) -> None:
        """Measure until cancelled."""
        smtp = self._pipeline.settings.smtp
        addresses = self._pipeline.outside.addresses
        if smtp is None:
            raise AssertionError("a simulated pipeline has a mailbox")
        client = aiosmtplib.SMTP(
            hostname=smtp.server,
            port=smtp.port,
            username=smtp.user,
            password=smtp.password.get_secret_value(),
            use_tls=True,
            tls_context=ssl.create_default_context(cafile=str(smtp.ca_file)),
            local_hostname="localhost",
        )
        url = f"{addresses['bot_api']}/bot{addresses['bot_token']}/sendMessage"
        message = EmailMessage()
        message["From"], message["To"] = "bench@example.com", "trader@example.com"
        message["Subject"] = "bare"
        message.set_content("bare")
        async with (
            bare_clients(self._pipeline.server.url) as hop,
            client,
            aiohttp.ClientSession() as session,
        ):
            while True:
                self.hops += await hop_ns(*hop, 8, _HOP_EVERY_S)
                start = time.perf_counter_ns()
                await client.send_message(message)
                self.smtp.append(time.perf_counter_ns() - start)
                start = time.perf_counter_ns()
                body = {"chat_id": str(addresses["chat_id"]), "text": "bare"}
                async with session.post(url, data=body) as answer:
                    await answer.read()
                self.bot.append(time.perf_counter_ns() - start)


async def _live_pace(seconds: float) -> list[Measure]:
    """Processor time at the pace of a real market, open frames included."""
    _say(f"processor time: {seconds:.0f} s at real time")
    async with _pipeline(Settings(), _market(days=1, speed="1")) as pipeline:
        await _caught_up(pipeline)
        await asyncio.sleep(2)
        costs = Costs(pipeline.supervisor)
        costs.sample()
        before, start = costs.cpu_s(), time.monotonic()
        await asyncio.sleep(seconds)
        costs.sample()
        after, passed = costs.cpu_s(), time.monotonic() - start
    used = {name: 100 * (after[name] - before[name]) / passed for name in after}
    return [
        Measure(
            "processor at live pace, 1m + 5m + 1h",
            f"{used['sum']:.2f} % of a core",
            ", ".join(f"{name} {share:.2f}" for name, share in used.items() if name != "sum"),
            f"{used['sum'] / 2:.2f}",
            "< 2 %",
        )
    ]


async def _catch_up(days: int) -> list[Measure]:
    """Candles per second when history comes as fast as the services take it; median of three."""
    _say(f"catch-up: {days} days as fast as they go, three times")
    rates = []
    for _ in range(3):
        options = PipelineOptions(_market(days=days, speed="max").outside, all_history=True)
        async with _pipeline(Settings(), options) as pipeline:
            while not (await pipeline.outside.state())["started"]:
                await asyncio.sleep(_POLL_S)
            before, start = (await totals(pipeline))["candles"], time.monotonic()
            await _evaluated_to_the_end(pipeline)
            published = (await totals(pipeline))["candles"] - before
            rates.append(published / (time.monotonic() - start))
    rate = median(rates)
    return [
        Measure(
            f"catch-up through all four processes, {days} days",
            f"{rate:,.0f} candles/s",
            "5,000 candles/s",
            f"{rate / 5000:.2f}",
            ">= 1",
        )
    ]


def _market(days: int, speed: str) -> PipelineOptions:
    history = "0" if speed == "max" else "42"
    return PipelineOptions(
        outside=[
            "--market", "1",
            "--days", str(days),
            "--history-days", history,
            "--speed", speed,
            "--weight-limit", "0",
        ]
    )  # fmt: skip


@asynccontextmanager
async def _pipeline(settings: Settings, options: PipelineOptions) -> AsyncIterator[Pipeline]:
    """A running pipeline in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="btc-scanner-bench-") as folder:
        async with running_pipeline(settings, Path(folder), options) as pipeline:
            yield pipeline


async def _caught_up(pipeline: Pipeline) -> None:
    """Wait until the history is evaluated and the market has begun to move."""
    while True:
        state = await pipeline.outside.state()
        at = await _position(pipeline)
        if state["started"] and at >= state["start_ms"]:
            return
        await asyncio.sleep(_POLL_S)


async def _evaluated_to_the_end(pipeline: Pipeline) -> None:
    end_ms = (await pipeline.outside.state())["end_ms"]
    while await _position(pipeline) < end_ms:
        await asyncio.sleep(0.02)


async def _position(pipeline: Pipeline) -> int:
    at = await pipeline.access.field(keys.progress(pipeline.settings.exchange.market), "detector")
    return int((at or "0").partition("-")[0])


async def _delivered(pipeline: Pipeline) -> None:
    end = time.monotonic() + _SETTLED_S
    while await undelivered(pipeline.access) and time.monotonic() < end:
        await asyncio.sleep(_POLL_S)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(measures: Sequence[Measure]) -> None:
    for each in measures:
        target = f"  target {each.target}" if each.target else ""
        print(f"{each.what:<52} {each.figure:>18}  ratio {each.ratio:>6}{target}")
        print(f"{'':<52} {'':>18}  against {each.reference}")


if __name__ == "__main__":
    sys.exit(main())
