"""``btc-scanner replay --chaos SEED``: the same history undisturbed and under faults, compared."""

import asyncio
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from cli.chaos import Operator
from cli.chaos_account import StreamRow, judge_deliveries, judge_signals, judge_stream
from cli.chaos_plan import plan
from cli.observe import join_received, read_klines, read_ledger, read_signals
from cli.pipeline import KEPT, Pipeline, PipelineOptions, running_pipeline
from cli.replay_command import (
    keep_logs,
    outside_of,
    record,
    shown_speed,
    undisturbed,
    write_summary,
)
from shared.settings import Settings
from shared.timeframe import interval_ms
from sim.candles import MINUTE_MS, Candles, aggregate, load_candles
from sim.schedule import dump_schedule, operator_faults

# An hour of the market a second while nobody listens, so that an outage of a second does not meet
# the faults of half a day at once.
_IDLE_MINUTES_PER_S = 60
# What people wait for must not take its usual time here; how long is not what is tried.
_IMPATIENT: Mapping[str, Mapping[str, Any]] = {
    "notifier": {"claim_idle_seconds": 12.0, "retry_base_seconds": 0.2, "retry_max_seconds": 2.0},
    "smtp": {"timeout_seconds": 5.0},
    "telegram": {"timeout_seconds": 5.0},
    # All candles are looked at in the end.
    "streams": {"klines_maxlen": KEPT},
}


async def chaos_replay(
    settings: Settings, candles: Path, speed: float | None, out: Path, seed: int
) -> int:
    """Replay twice and write both; 0 if chaos has changed nothing."""
    known = load_candles(candles)
    calm = out / "undisturbed"
    calm.mkdir(exist_ok=True)
    await undisturbed(settings, candles, speed, calm)
    start_ms = int(known.open_time_ms[0])
    end_ms = int(known.open_time_ms[-1]) + MINUTE_MS
    schedule = plan(seed, start_ms, end_ms, paced=speed is not None)
    # The operator's own looks at Redis meet the same faults; the services' words are what counts.
    logging.getLogger("shared.redis_access").setLevel(logging.CRITICAL)
    (out / "operator.log").unlink(missing_ok=True)
    (out / "faults.json").write_text(dump_schedule(schedule), encoding="utf-8")
    theirs, ours = operator_faults(schedule)
    with tempfile.TemporaryDirectory(prefix="btc-scanner-chaos-") as folder:
        todo = Path(folder) / "schedule.json"
        todo.write_text(dump_schedule(theirs), encoding="utf-8")
        options = PipelineOptions(
            outside=[
                *outside_of(settings, candles, speed),
                "--schedule", str(todo),
                "--idle-minutes-per-second", str(_IDLE_MINUTES_PER_S),
            ],
            all_history=True,
            proxied=True,
            changes=_IMPATIENT,
            healthy_s=0.0,
        )  # fmt: skip
        run = Path(folder) / "run"
        async with running_pipeline(settings, run, options) as pipeline:
            try:
                operator = Operator(pipeline, ours, seed, partial(_note, out / "operator.log"))
                summary = await _disturbed(pipeline, out, operator)
                summary["chaos"] = await _judged(pipeline, operator, known, out)
            except BaseException:
                keep_logs(run / "logs", out)
                raise
        faultless = _faultless(summary["chaos"])
        if not faultless:
            keep_logs(run / "logs", out)
    summary["chaos"] = {"seed": seed, **summary["chaos"]}
    summary["speed"] = shown_speed(speed)
    write_summary(summary, out)
    print(json.dumps(summary, indent=2))
    return 0 if faultless else 1


def _note(log: Path, line: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{datetime.now(UTC):%H:%M:%S.%f} {line}\n")


async def _disturbed(pipeline: Pipeline, out: Path, operator: Operator) -> dict[str, Any]:
    async with asyncio.TaskGroup() as group:
        work = group.create_task(operator.work())
        return await record(pipeline, out, ended=work.done)


async def _judged(
    pipeline: Pipeline, operator: Operator, known: Candles, out: Path
) -> dict[str, Any]:
    """Everything that should be as if nothing had happened."""
    settings, access = pipeline.settings, pipeline.access
    signals = await read_signals(access)
    rows, true = (
        (folder / "signals.csv").read_text(encoding="utf-8").splitlines()[1:]
        for folder in (out, out / "undisturbed")
    )
    told = {
        name: judge_stream(
            [
                StreamRow(candle.boundary_ms, candle.source, candle.missing)
                for candle in await read_klines(access, settings.exchange.market, name)
            ],
            interval_ms(name),
            (aggregate(known, interval_ms(name)).open_time_ms + interval_ms(name)).tolist(),
        )
        for name in settings.feed_timeframes
    }
    deliveries = await join_received(pipeline, signals)
    recorded_ms = await read_ledger(access) | operator.recorded_ms
    state = await pipeline.outside.state()
    faults = Counter(state["faults"]) + operator.caused
    restarts = pipeline.supervisor.restarts
    return {
        "faults": dict(sorted(faults.items())),
        "candles_refilled": sum(stream["by_rest"] for stream in told.values()),
        "streams": told,
        "signals": judge_signals(rows, true),
        "deliveries": judge_deliveries(
            {signal.id for signal in signals if not signal.stale}, deliveries, recorded_ms
        ),
        "crashes": operator.crashed
        + sum(restarts[name] - operator.ended[name] for name in restarts),
    }


def _faultless(told: Mapping[str, Any]) -> bool:
    streams = told["streams"].values()
    return (
        not any(told["signals"].values())
        and not any(
            stream[name]
            for stream in streams
            for name in ("wrongly_missing", "not_marked", "out_of_order")
        )
        and not any(
            channel["lost"] or channel["repeated_without_excuse"]
            for channel in told["deliveries"].values()
        )
        and not told["crashes"]
    )
