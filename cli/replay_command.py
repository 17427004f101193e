"""``btc-scanner replay``: a whole history through the four real processes, and what came of it."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cli import CommandError
from cli.measure import bare_clients, hop_ns, median_ms
from cli.observe import (
    join_received,
    latencies,
    read_signals,
    totals,
    undelivered,
)
from cli.pipeline import Pipeline, PipelineOptions, running_pipeline
from cli.replay_record import account, deliveries_csv, signals_csv
from cli.supervisor import run_until_signalled
from cli.watched import watched
from shared import keys
from shared.configuration import load_settings
from shared.redis_access import RedisAccess
from shared.settings import Settings

TARGETS = {
    "candles_per_second": ">= 5000",
    "frame_to_signal": "p50 <= 2.5 x three bare Redis hops, p99 <= 10 ms, at live pace",
    "frame_to_email": "p50 <= 25 ms, at live pace",
    "frame_to_telegram": "p50 <= 25 ms, at live pace",
    "pss_mb": "< 200 summed",
}
_POLL_S = 0.2
_HOPS = 200
# In less than that our looking is no small part of the time.
_MEASURABLE_S = 10 * _POLL_S
# At the end of the market, how long the pipeline may do nothing before that is an error.
_STALL_S = 120.0


def run(
    candles: Path,
    *,
    speed: float | None,
    out: Path,
    config: Path | None,
    chaos: int | None = None,
) -> int:
    """Replay ``candles`` at ``speed`` (None: as fast as it goes) and write the results to ``out``.

    With a seed for ``chaos`` it is done twice: undisturbed, and under faults of all kinds.

    Returns:
        0, or 1 when a signal was lost or repeated on a channel.
    """
    if not candles.is_file():
        raise CommandError(f"there is no candle file {candles}")
    settings = load_settings(config)
    out.mkdir(parents=True, exist_ok=True)
    if chaos is None:
        return run_until_signalled(_replay(settings, candles, speed, out))
    from cli.chaos_command import chaos_replay  # noqa: PLC0415 - it stands on this module

    return run_until_signalled(chaos_replay(settings, candles, speed, out, chaos))


async def _replay(settings: Settings, candles: Path, speed: float | None, out: Path) -> int:
    summary = await undisturbed(settings, candles, speed, out)
    print(json.dumps(summary, indent=2))
    faultless = all(
        not (told["lost"] or told["duplicates"] or told["unexpected"])
        for told in summary["deliveries"].values()
    )
    return 0 if faultless else 1


async def undisturbed(
    settings: Settings, candles: Path, speed: float | None, out: Path
) -> dict[str, Any]:
    """Replay ``candles`` and write everything to ``out``; the summary."""
    options = PipelineOptions(outside=outside_of(settings, candles, speed), all_history=True)
    with tempfile.TemporaryDirectory(prefix="btc-scanner-replay-") as folder:
        async with running_pipeline(settings, Path(folder), options) as pipeline:
            try:
                summary = await record(pipeline, out)
            except BaseException:
                keep_logs(Path(folder) / "logs", out)
                raise
    summary["speed"] = shown_speed(speed)
    write_summary(summary, out)
    return summary


def outside_of(settings: Settings, candles: Path, speed: float | None) -> list[str]:
    """The simulated outside of a replay, as arguments of ``python -m sim``."""
    return [
        "--candles", str(candles.absolute()),
        "--speed", shown_speed(speed),
        "--symbol", settings.exchange.symbol,
        "--weight-limit", "0",
    ]  # fmt: skip


def shown_speed(speed: float | None) -> str:
    """As it is typed."""
    return "max" if speed is None else f"{speed:g}"


def write_summary(summary: dict[str, Any], out: Path) -> None:
    """Write summary.json."""
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")


async def record(
    pipeline: Pipeline, out: Path, *, ended: Callable[[], bool] = lambda: True
) -> dict[str, Any]:
    """Watch the replay to its end and write everything but the summary, which is returned.

    It has not come to its end before ``ended`` says so too.
    """
    access = RedisAccess(pipeline.server.url, name="watch")
    try:
        async with watched(access, pipeline.supervisor) as (watch, costs):
            seconds = await _until_done(pipeline, ended)
        async with bare_clients(pipeline.server.url) as clients:
            hops = await hop_ns(*clients, _HOPS)
    finally:
        await access.close()
    signals = await read_signals(pipeline.access)
    deliveries = await join_received(pipeline, signals)
    (out / "signals.csv").write_text(signals_csv(signals), encoding="utf-8")
    (out / "deliveries.csv").write_text(deliveries_csv(deliveries), encoding="utf-8")
    published = await totals(pipeline)
    return {
        **published,
        "signals": len(signals),
        "stale": sum(signal.stale for signal in signals),
        "deliveries": account(signals, deliveries),
        "seconds": round(seconds, 2),
        "candles_per_second": rate(published["candles"], seconds),
        "latency_ms": await latencies(pipeline, signals, watch, deliveries),
        "redis_hop_ms": median_ms(hops),
        "pss_mb": costs.pss_mb(),
        "cpu_s": costs.cpu_s(),
        "restarts": dict(pipeline.supervisor.restarts),
        "redis": str(pipeline.server),
        "targets": TARGETS,
    }


def rate(count: int, seconds: float) -> int | None:
    """How many in a second; None if they were too few to tell."""
    return round(count / seconds) if seconds >= _MEASURABLE_S else None


async def _until_done(pipeline: Pipeline, ended: Callable[[], bool]) -> float:
    """Wait until the market and all else has ended, and everything is evaluated and acknowledged.

    Returns:
        Seconds from the begin of the market to the last candle's evaluation and delivery.

    Raises:
        CommandError: Nothing moves any more.
    """
    started: float | None = None
    last, moved_at = "", time.monotonic()
    while True:
        state = await pipeline.outside.state()
        if started is None and state["started"]:
            started = time.monotonic() - state["running_s"]
        position = await pipeline.access.field(
            keys.progress(pipeline.settings.exchange.market), "detector"
        )
        at = position or ""
        _show(state, at)
        waiting = await undelivered(pipeline.access) if state["finished"] else -1
        now = time.monotonic()
        if f"{state['clock_ms']} {at} {waiting}" != last:
            last, moved_at = f"{state['clock_ms']} {at} {waiting}", now
        elif now - moved_at > _STALL_S:
            raise CommandError(
                f"nothing has moved for {_STALL_S:.0f} s: the detector is at {at or 'no entry'},"
                f" {max(waiting, 0)} deliveries wait; the services' logs are in the output folder"
            )
        evaluated = int(at.partition("-")[0] or 0)
        if waiting == 0 and evaluated >= state["end_ms"] and started is not None and ended():
            return now - started
        await asyncio.sleep(_POLL_S)


def _show(state: dict[str, Any], position: str) -> None:
    """One progress line for a person at a terminal."""
    if not sys.stderr.isatty():
        return
    span = max(1, state["end_ms"] - state["start_ms"])
    done = max(0, int(position.partition("-")[0] or 0) - state["start_ms"]) / span
    sys.stderr.write(
        f"\r{min(1.0, done):7.1%} of the market, {state['mails']} emails,"
        f" {state['telegrams']} Telegram messages "
    )
    sys.stderr.flush()


def keep_logs(logs: Path, out: Path) -> None:
    """Take the services' logs along, since something went wrong."""
    with suppress(OSError):
        for log in logs.rglob("*.log"):
            name = "-".join(log.relative_to(logs).parts)
            (out / name).write_bytes(log.read_bytes())
