"""The supervisor with real processes: small stand-ins that note each of their starts."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli import CommandError, hang_watch
from cli.doors import Knock, knock
from cli.supervisor import ROOT, ServiceRefused, ServiceSpec, Supervisor, delays, services
from cli.up_command import REDIS_URL_VARIABLE, redis_directory
from tests.waiting import wait_until

NOTE = "import os, signal, sys, time; open({path!r}, 'a').write(f'{{os.getpid()}}\\n');"
STAY = "time.sleep(60)"
IGNORE_TERM = (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


class Stage:
    """Makes services that note their process numbers, and collects what the supervisor says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []

    def service(self, name: str, code: str = STAY, *, log: bool = True) -> ServiceSpec:
        note = NOTE.format(path=str(self.folder / f"{name}.starts"))
        return ServiceSpec(
            name,
            (sys.executable, "-c", f"{note} {code}"),
            self.folder / "logs" / f"{name}.log" if log else None,
        )

    def starts(self, name: str) -> list[int]:
        path = self.folder / f"{name}.starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def supervisor(self, *specs: ServiceSpec, **options: float) -> Supervisor:
        return Supervisor(specs, say=self.said.append, **{"first_delay_s": 0.01} | options)  # type: ignore[arg-type]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_services_run_inside_the_block_and_not_after_it(stage: Stage) -> None:
    async with stage.supervisor(stage.service("a"), stage.service("b")) as supervisor:
        pids = [supervisor.pid("a"), supervisor.pid("b")]
        assert all(pid and _alive(pid) for pid in pids)
        assert supervisor.restarts == {"a": 0, "b": 0}
    assert not any(pid and _alive(pid) for pid in pids)
    assert stage.said == []


async def test_one_that_dies_is_started_again_and_the_others_are_left_alone(stage: Stage) -> None:
    async with stage.supervisor(stage.service("a"), stage.service("b")) as supervisor:
        await _until(lambda: bool(stage.starts("a") and stage.starts("b")))
        supervisor.kill("a")
        await _until(lambda: len(stage.starts("a")) == 2)
        supervisor.kill("a", signal.SIGTERM)
        await _until(lambda: len(stage.starts("a")) == 3)
        assert supervisor.restarts == {"a": 2, "b": 0}
        assert supervisor.pid("a") == stage.starts("a")[-1]
    assert len(stage.starts("b")) == 1
    assert "a was ended by SIGKILL; starting it again in 0.01 s" in stage.said


async def test_one_that_ends_by_itself_is_started_again_with_growing_delays(stage: Stage) -> None:
    async with stage.supervisor(stage.service("a", "sys.exit(0)")):
        await _until(lambda: len(stage.said) >= 4)
    assert stage.said[:4] == [
        f"a ended with exit code 0; starting it again in {delay} s"
        for delay in ("0.01", "0.02", "0.04", "0.08")
    ]


async def test_a_long_life_makes_the_delay_short_again(stage: Stage) -> None:
    async with stage.supervisor(stage.service("a", "sys.exit(0)"), healthy_s=0.0):
        await _until(lambda: len(stage.said) >= 4)
    assert all("again in 0.01 s" in line for line in stage.said)


def test_delays_double_up_to_ten_seconds() -> None:
    waits = delays()
    assert [next(waits) for _ in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


@pytest.mark.parametrize("code", [2, 78])
async def test_a_refused_configuration_ends_all_with_its_words(stage: Stage, code: int) -> None:
    refusing = stage.service("b", f"sys.stderr.write('smtp.port: is not a port'); sys.exit({code})")
    with pytest.raises(ServiceRefused, match=r"b refuses to run .*\n  smtp\.port: is not a port"):
        async with stage.supervisor(stage.service("a"), refusing):
            await asyncio.Event().wait()
    assert len(stage.starts("b")) == 1
    assert not any(_alive(pid) for pid in stage.starts("a"))


async def test_a_program_that_is_not_there_ends_with_a_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.supervisor.bound", list)
    absent = ServiceSpec("b", ("/absent/program",))
    with pytest.raises(CommandError, match=r"b cannot be started: .*/absent/program"):
        async with stage.supervisor(stage.service("a"), absent):
            pytest.fail("the block must not begin")
    assert not any(_alive(pid) for pid in stage.starts("a"))


async def test_the_error_of_the_block_is_raised_as_it_is(stage: Stage) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with stage.supervisor(stage.service("a")):
            raise ValueError("mine")


async def test_one_that_ignores_sigterm_is_killed_after_the_grace(stage: Stage) -> None:
    deaf = stage.service("a", IGNORE_TERM)
    async with stage.supervisor(deaf, stage.service("b"), grace_s=0.3) as supervisor:
        pid = supervisor.pid("a")
        assert deaf.log
        log = deaf.log
        await _until(lambda: "deaf" in log.read_text())
        began = time.monotonic()
    assert pid
    assert not _alive(pid)
    assert 0.3 <= time.monotonic() - began < 3.0


async def test_services_are_in_a_session_of_their_own(stage: Stage) -> None:
    async with stage.supervisor(stage.service("a")) as supervisor:
        pid = supervisor.pid("a")
        assert pid
        assert os.getsid(pid) == pid


async def test_output_goes_to_its_log(stage: Stage) -> None:
    loud = stage.service("a", "print('out', flush=True); print('err', file=sys.stderr); " + STAY)
    assert loud.log
    log = loud.log
    async with stage.supervisor(loud):
        await _until(lambda: log.exists() and log.read_text() == "out\nerr\n")


async def test_services_get_the_environment_and_the_import_path(stage: Stage) -> None:
    code = "print(os.environ['PYTHONPATH'], os.environ['X'], flush=True); " + STAY
    loud = stage.service("a", code)
    assert loud.log
    log = loud.log
    async with Supervisor([loud], environment={"X": "y"}):
        await _until(lambda: log.exists() and log.read_text() == f"{ROOT} y\n")


async def test_a_service_that_hangs_is_ended_and_started_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one, which waits for a Redis that is not there: that alone is no reason."""
    for name, value in (("EVERY_S", 0.1), ("PATIENCE_S", 1.0), ("ROUNDS", 2)):
        monkeypatch.setattr(hang_watch, name, value)
    config = stage.folder / "config.json"
    config.write_text('{"redis": {"url": "redis://127.0.0.1:1"}, "logging": {"file": ""}}')
    specs = services(config, names=("detector",), log_directory=stage.folder)
    assert specs[0].log
    log = specs[0].log

    async def answers() -> bool:
        return bool((await knock(specs[0].door, 5.0)).answer)

    async with stage.supervisor(*specs) as supervisor:
        for deaths in (1, 2):
            pid = supervisor.pid("detector")
            await wait_until(answers, "an answer at the door")
            assert (await knock(specs[0].door, 5.0)).pid == pid
            assert pid
            os.kill(pid, signal.SIGSTOP)
            await wait_until(lambda n=deaths: len(stage.said) == 2 * n, "the restart")
            await wait_until(lambda: supervisor.pid("detector"), "another process")
            assert supervisor.pid("detector") != pid
    assert stage.said[0] == "detector has not answered for 2.2 s: it hangs; ending it"
    assert stage.said[1].startswith("detector was ended by SIGKILL; starting it again in ")
    assert "cannot be reached" in log.read_text()


async def test_one_whose_loop_hangs_writes_where(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("EVERY_S", 0.05), ("PATIENCE_S", 0.2), ("ROUNDS", 2)):
        monkeypatch.setattr(hang_watch, name, value)
    door = str(stage.folder / "door")
    code = (
        "import faulthandler, socket; faulthandler.enable();"
        f"s = socket.socket(socket.AF_UNIX); os.path.exists({door!r}) and os.unlink({door!r});"
        f"s.bind({door!r}); s.listen(); {STAY}"
    )
    hanging = replace(stage.service("a", code), door=door)
    assert hanging.log
    log = hanging.log
    async with stage.supervisor(hanging):
        await _until(lambda: len(stage.starts("a")) == 2)
        await _until(lambda: "most recent call first" in log.read_text())
    assert "a was ended by SIGABRT; starting it again in 0.01 s" in stage.said


async def test_the_door_of_another_process_proves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("EVERY_S", 0.01), ("PATIENCE_S", 0.05), ("ROUNDS", 1)):
        monkeypatch.setattr(hang_watch, name, value)
    door, knocks = str(stage.folder / "door"), 0

    async def counted(address: str, patience_s: float) -> Knock:
        nonlocal knocks
        found = await knock(address, patience_s)
        assert found.hangs
        knocks += 1
        return found

    monkeypatch.setattr(hang_watch, "knock", counted)
    with socket.socket(socket.AF_UNIX) as ours:
        ours.bind(door)
        ours.listen()
        async with stage.supervisor(replace(stage.service("a"), door=door)):
            await _until(lambda: knocks >= 3)
    assert stage.said == []


def test_the_services_are_called_with_absolute_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    specs = services(Path("config.json"), log_directory=tmp_path)
    assert [spec.name for spec in specs] == ["ingest", "indicators", "detector", "notifier"]
    assert specs[0].command[1:] == (
        *("-P", "-m", "services.ingest", "--instance", "1"),
        *("--config", str(tmp_path / "config.json")),
    )
    assert specs[3].log == tmp_path / "notifier.log"
    assert "--config" not in services(None)[0].command


def test_data_stays_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    assert redis_directory(None) == tmp_path / "run" / "redis"
    assert redis_directory(Path("sub/config.json")) == tmp_path / "sub" / "run" / "redis"
    assert redis_directory(Path("/proc/self/config.json")) == tmp_path / "run" / "redis"


UP = """\
import sys
from pathlib import Path
from cli.supervisor import ServiceSpec, run_until_signalled
from cli.up_command import supervise
from shared.settings import Settings
folder = Path(sys.argv[1])
code = (
    "import os, time, sys; open(sys.argv[1], 'a').write(f'{os.getpid()}\\\\n');"
    "print(os.environ['BTC_SCANNER__REDIS__URL'], flush=True); time.sleep(60)"
)
specs = [
    ServiceSpec(name, (sys.executable, "-c", code, str(folder / f"{name}.starts")))
    for name in ("a", "b")
]
sys.exit(run_until_signalled(supervise(Settings(), folder / "config.json", specs), stopped=7))
"""


NO_NOHUP = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
async def test_up_leaves_no_process_behind(stage: Stage, number: signal.Signals) -> None:
    with subprocess.Popen(
        # Where the tests themselves run under nohup, SIGHUP would rightly be ignored.
        [sys.executable, "-c", f"{NO_NOHUP}\n{UP}", stage.folder],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as up:
        await _until(lambda: bool(stage.starts("a") and stage.starts("b")))
        server = int((stage.folder / "run" / "redis" / "lock").read_text())
        assert server == up.pid
        children = [*stage.starts("a"), *stage.starts("b"), *_redis_of(stage.folder)]
        assert len(children) == 3
        up.send_signal(number)
        code = up.wait(timeout=15)
        await _until(lambda: not any(_alive(pid) for pid in children))
        assert up.stdout
        lines = up.stdout.read()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 7)
    assert "Redis: " in lines
    assert lines.count("unix://") == 2
    assert "Traceback" not in lines
    assert REDIS_URL_VARIABLE not in lines


def _redis_of(folder: Path) -> list[int]:
    """Servers that run on the folder, found by their command lines."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            title = b"".join(command)
        except OSError:
            continue
        if str(folder / "run" / "redis").encode() in title and b"-c" not in command:
            found.append(int(process.name))
    return found


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    # Where nothing collects orphans, as in a container without an init, the dead stay listed.
    return state != "Z"


async def _until(condition: Callable[[], bool], patience_s: float = 15.0) -> None:
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.01)
