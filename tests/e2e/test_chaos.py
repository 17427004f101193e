"""A history under faults of all kinds: the signals of an undisturbed run, each delivered."""

import json
from pathlib import Path

import pytest

from sim.market import generate
from sim.schedule import parse_schedule
from tests.command import run_command
from tests.e2e.conftest import START_MS, candle_file

pytestmark = pytest.mark.timeout(240)

DAYS = 3


def test_chaos_changes_no_signal_and_loses_no_delivery(tmp_path: Path) -> None:
    candles = candle_file(tmp_path / "candles.csv", generate(4, DAYS, START_MS))
    out = tmp_path / "out"
    done = run_command("replay", candles, "--chaos", "3", "--out", out, seconds=200)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = (out / "signals.csv").read_text()
    assert len(rows.splitlines()) > 10
    assert rows == (out / "undisturbed" / "signals.csv").read_text()
    told = json.loads((out / "summary.json").read_text())["chaos"]
    assert not any(told["signals"].values())
    assert told["crashes"] == 0
    for channel in told["deliveries"].values():
        assert channel["lost"] == 0
        assert channel["repeated"] == channel["repeated_before_recorded"]
    assert told["candles_refilled"] > 0
    # One an hour was drawn, and each was caused as often as it was drawn.
    drawn = parse_schedule((out / "faults.json").read_text())
    assert len({(fault.at_ms - START_MS) // 3_600_000 for fault in drawn}) == 24 * DAYS
    for name in {fault.name for fault in drawn}:
        assert told["faults"].get(name, 0) == sum(fault.name == name for fault in drawn), name


def test_a_seed_that_is_no_number_is_explained(tmp_path: Path) -> None:
    done = run_command("replay", "x.csv", "--chaos", "much", "--out", tmp_path)
    assert done.returncode == 2
    assert "--chaos" in done.stderr
