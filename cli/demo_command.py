"""``btc-scanner demo``: the whole scanner on a simulated market, with nothing to configure."""

import asyncio
import math
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cli.measure import Costs
from cli.observe import (
    SignalWatch,
    latencies,
    periods_of,
    read_events,
    read_signals,
    totals,
    undelivered,
)
from cli.pipeline import Pipeline, PipelineOptions, running_pipeline
from cli.replay_record import account, join_deliveries
from cli.supervisor import run_until_signalled
from cli.watched import watched
from services.notifier.message import email_text, telegram_text, without_heading
from shared import keys
from shared.redis_access import RedisAccess
from shared.settings import Settings
from shared.times import utc
from shared.trade_signal import Signal

DEFAULT_SPEED = 1800.0
# Enough 1h candles before the start for every seed to have faded.
HISTORY_DAYS = 42
_DAY_S = 86_400
_POLL_S = 0.2
_PROGRESS_EVERY_S = 10.0
# After the last candle, for what is still on its way.
_LAST_DELIVERIES_S = 5.0


def run(*, seconds: float, seed: int | None, speed: float | None) -> int:
    """Show the scanner at work for ``seconds``; 0 also when a person ends it early."""
    chosen_seed = random.randrange(1, 10_000) if seed is None else seed
    return run_until_signalled(_demo(seconds, chosen_seed, speed or DEFAULT_SPEED))


async def _demo(seconds: float, seed: int, speed: float) -> int:
    days = math.ceil(seconds * speed / _DAY_S) + 1
    options = PipelineOptions(
        outside=[
            "--market", str(seed),
            "--days", str(days),
            "--history-days", str(HISTORY_DAYS),
            "--speed", f"{speed:g}",
            "--weight-limit", "0",
        ],
        say=lambda line: print(line, flush=True),
    )  # fmt: skip
    print(
        f"A simulated BTC market (seed {seed}, {speed:g} times real time), a mailbox and a Telegram"
        f" stand-in;\nnothing leaves this machine. Starting Redis and the four services …",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="btc-scanner-demo-") as folder:
        async with running_pipeline(Settings(), Path(folder), options) as pipeline:
            return await _Show(pipeline, seconds).run()


class _Show:
    """What the terminal shows while the pipeline runs."""

    def __init__(self, pipeline: Pipeline, seconds: float) -> None:
        self._pipeline, self._seconds = pipeline, seconds
        self._periods = periods_of(pipeline.settings)
        self._signals: dict[str, Signal] = {}
        self._by_text: dict[str, str] = {}
        self._told = {"email": 0, "telegram": 0}
        self._in_full = True
        self._progress_at = 0.0

    async def run(self) -> int:
        """Show alerts as they arrive, then the summary."""
        pipeline = self._pipeline
        access = RedisAccess(pipeline.server.url, name="watch")
        try:
            async with watched(access, pipeline.supervisor) as (watch, costs):
                await self._until_over()
        finally:
            await access.close()
        await self._summarise(watch, costs)
        return 0

    async def _until_over(self) -> None:
        pipeline, end = self._pipeline, time.monotonic() + self._seconds
        while time.monotonic() < end:
            state = await pipeline.outside.state()
            await self._show_alerts()
            self._show_progress(state)
            await asyncio.sleep(_POLL_S)
        grace = time.monotonic() + _LAST_DELIVERIES_S
        while await undelivered(pipeline.access) and time.monotonic() < grace:
            await asyncio.sleep(_POLL_S)
        await self._show_alerts()

    async def _show_alerts(self) -> None:
        """Print what the mailbox and the Bot API have accepted since the last look."""
        fresh = await self._pipeline.outside.deliveries(self._told["email"], self._told["telegram"])
        if not (fresh["email"] or fresh["telegram"]):
            return
        for signal in await read_signals(self._pipeline.access):
            self._signals[signal.id] = signal
            self._by_text[telegram_text(signal, self._periods)] = signal.id
        for channel in ("email", "telegram"):
            self._told[channel] += len(fresh[channel])
            for message in fresh[channel]:
                text = without_heading(message.get("text", ""))
                signal_id = message.get("signal_id") or self._by_text.get(text)
                self._show_alert(channel, self._signals.get(signal_id or ""))

    def _show_alert(self, channel: str, signal: Signal | None) -> None:
        if signal is None:
            return
        self._clear_line()
        if self._in_full:
            self._in_full = False
            print("The first alert, as it stands in the mailbox:\n", flush=True)
            for line in email_text(signal, self._periods).splitlines():
                print(f"    {line}".rstrip(), flush=True)
            print(flush=True)
        light = "🟢" if signal.side.sign > 0 else "🔴"
        print(f"{light} {channel:<8} {signal.sentence}", flush=True)

    def _show_progress(self, state: dict[str, Any]) -> None:
        now = time.monotonic()
        line = (
            f"market time {utc(state['clock_ms'])}, {state['mails']} emails,"
            f" {state['telegrams']} Telegram messages"
        )
        if sys.stdout.isatty():
            sys.stdout.write(f"\r\x1b[K{line}")
            sys.stdout.flush()
        elif now - self._progress_at >= _PROGRESS_EVERY_S:
            self._progress_at = now
            print(line, flush=True)

    @staticmethod
    def _clear_line() -> None:
        if sys.stdout.isatty():
            sys.stdout.write("\r\x1b[K")

    async def _summarise(self, watch: SignalWatch, costs: Costs) -> None:
        pipeline = self._pipeline
        signals = await read_signals(pipeline.access)
        fresh = [signal for signal in signals if not signal.stale]
        received, events = await pipeline.outside.deliveries(), await read_events(pipeline.access)
        deliveries = join_deliveries(signals, received, self._periods, events)
        published = await totals(pipeline)
        told = account(signals, deliveries)
        latency = await latencies(pipeline, signals, watch, deliveries)
        position = await pipeline.access.field(
            keys.progress(pipeline.settings.exchange.market), "detector"
        )
        self._clear_line()
        print("\nSummary")
        print(f"  candles     {published['candles']:,} closed, {published['missing']} missing")
        print(
            f"  signals     {len(fresh)} live, {len(signals) - len(fresh)} in the loaded history"
            " (recorded, not alerted)"
        )
        for channel, counts in told.items():
            print(
                f"  {channel:<11} {counts['delivered']} delivered, {counts['lost']} lost,"
                f" {counts['duplicates']} repeated"
            )
        for name, times in latency.items():
            if times["count"]:
                shown = name.replace("frame_to_", "candle closed → ")
                print(f"  {shown:<26} p50 {times['p50']:.1f} ms, p99 {times['p99']:.1f} ms")
        memory = ", ".join(f"{name} {size:.0f}" for name, size in costs.pss_mb().items())
        print(f"  memory (MB) {memory}")
        if position:
            print(f"  market time {utc(int(position.partition('-')[0]))}")
        print("\nYour own market and channels: copy config.example.json to config.json, edit it,")
        print("then ./btc-scanner config check and ./btc-scanner up. Education, not advice.")
