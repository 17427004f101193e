"""The fuzzer itself, and a short run of it: every reader accepts or refuses, no more."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from fuzz.forms import ENTRY, JSON, MSGPACK, read_entry, write_entry
from fuzz.mutation import mutate
from fuzz.runner import Finding, fuzz
from fuzz.targets import TARGETS, Target

ROOT = Path(__file__).parents[3]
# Enough for each mutation to come by; the slower readers get fewer.
INPUTS = dict.fromkeys(TARGETS, 1500) | {"state": 300, "market": 500, "signal": 800}
SEED = 7


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_a_reader_accepts_what_can_be_used_and_refuses_the_rest(target: Target) -> None:
    tally = fuzz(target, SEED, lambda tally: tally.tried < INPUTS[target.name])
    assert [str(each) for each in tally.findings.values()] == []
    assert tally.accepted > 10
    assert tally.refused > 10


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_the_same_seed_gives_the_same_inputs(target: Target) -> None:
    corpus = target.corpus()
    once, again, other = (
        [mutate(corpus, target.form, Random(f"{seed} {n}")) for n in range(40)]
        for seed in (1, 1, 2)
    )
    assert once == again != other
    assert len(set(once)) > 30


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_what_the_project_writes_has_a_tree_that_is_written_as_it_was(target: Target) -> None:
    kept = 0
    for raw in target.corpus():
        try:
            tree = target.form.parse(raw)
        except (ValueError, RecursionError):
            continue  # garbage among the frames
        again = target.form.parse(target.form.render(tree))
        assert repr(again) == repr(tree)  # a NaN is not equal to itself
        kept += 1
    assert kept


def test_an_entry_has_an_id_that_redis_would_give() -> None:
    assert read_entry(write_entry("17-2", ["a", "b"])) == (b"17-2", {b"a": b"b"})
    assert read_entry(b"") == (b"0-0", {})
    assert read_entry(b"-%d-x-5\x1ea" % 2**64) == (b"0-5", {})


def faulty(raw: bytes) -> bool:
    if b"9" in raw:
        raise KeyError("a bug")
    return True


def test_a_bug_is_found_once_counted_and_kept_as_bytes(tmp_path: Path) -> None:
    target = Target("faulty", JSON, lambda: [b'{"a": 1}'], faulty)
    tally = fuzz(target, 3, lambda tally: tally.tried < 2000)
    assert tally.found > 1
    assert tally.tried == 2000 == tally.accepted + tally.found
    [finding] = tally.findings.values()
    path = finding.save(tmp_path)
    assert path.read_bytes() == finding.raw
    assert "a bug" in path.with_suffix(".txt").read_text()
    assert f"seed 3, input {finding.number}: {finding.raw!r}" in str(finding)
    assert mutate(target.corpus(), JSON, Random(f"3 faulty {finding.number}")) == finding.raw


def test_one_kind_of_finding_is_told_by_its_place(tmp_path: Path) -> None:
    one = Finding("page", 1, 2, "KeyError at pages.py:1: 'x'", "", b"\xff\x00")
    assert str(one).startswith("FINDING page: KeyError at pages.py:1")
    assert repr(b"\xff\x00") in str(one)


@pytest.mark.parametrize("form", [JSON, MSGPACK, ENTRY], ids=["json", "msgpack", "entry"])
def test_any_bytes_can_be_mutated(form: object) -> None:
    corpus = [b"", b"\x00", b"[" * 5000, bytes(range(256))]
    for number in range(200):
        mutate(corpus, form, Random(number))  # type: ignore[arg-type] # one of the three


def test_the_command_prints_inputs_tried(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fuzz", "--seconds", "0.5", "--seed", "1"]
    command += ["--target", "server-time"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "seed 1, 0.5 s, 1 target"
    assert said[1].split() == [
        "target", "inputs", "accepted", "refused", "findings", "inputs/s",
    ]  # fmt: skip
    name, inputs, accepted, refused, findings, _ = said[2].replace(",", "").split()
    assert (name, findings) == ("server-time", "0")
    assert int(inputs) == int(accepted) + int(refused) > 100
    assert not (tmp_path / "out").exists()
