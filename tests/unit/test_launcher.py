"""``./btc-scanner`` finds a Python and keeps an environment.

Python and pip are shell scripts on a PATH of our own, so every machine looks like the one a test
needs.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    "ln",
    "cat",
    "cksum",
    "dirname",
    "find",
    "id",
    "ls",
    "mkdir",
    "mv",
    "readlink",
    "rm",
    "sed",
    "sleep",
    "sort",
    "tail",
)

# Answers the launcher's question (-c), its lock (through a real Python), -m venv and -m pip;
# otherwise tells how it was called. Each set-up step is counted in $BUILDS.
PYTHON = """\
#!/bin/sh
case "$1 $2" in
    *fcntl*) exec {real} "$@" ;;
    "-c "*) echo "{state} {version} {path}" ;;
    "-m venv")
        echo venv >>"$BUILDS"
        mkdir -p "$3/bin" && echo home >"$3/pyvenv.cfg" && ln -s "{path}" "$3/bin/python" ;;
    "-m pip")
        echo pip >>"$BUILDS"
        if [ -n "$PIP_SLEEP" ]; then sleep "$PIP_SLEEP"; fi
        if [ -n "$PIP_FAILS" ]; then echo "no route to the index"; exit 1; fi ;;
    *) echo "args=$*"; echo "cwd=$PWD"; echo "path=$PYTHONPATH" ;;
esac
"""


class Machine:
    """A folder with the launcher, and a PATH with only what the test put there."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "the scanner"
        self.bin = folder / "bin"
        self.builds = folder / "builds"
        self.home.mkdir()
        self.bin.mkdir()
        shutil.copy(ROOT / "btc-scanner", self.home)
        (self.home / "requirements.txt").write_text("# nothing\n")
        (self.home / "requirements-dev.txt").write_text("# nothing more\n")
        for tool in (*TOOLS, "sudo"):
            (self.bin / tool).symlink_to(shutil.which(tool) or "/bin/true")

    def add_python(
        self, name: str, version: str, state: str = "usable", folder: Path | None = None
    ) -> Path:
        path = (folder or self.bin) / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PYTHON.format(real=sys.executable, state=state, version=version, path=path))
        path.chmod(0o755)
        return path

    def environment(self, **variables: str) -> dict[str, str]:
        return {
            "PATH": str(self.bin),
            "BUILDS": str(self.builds),
            "HOME": "/nonexistent",
        } | variables

    def run(
        self,
        *arguments: str,
        launcher: Path | None = None,
        cwd: Path | None = None,
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [launcher or self.home / "btc-scanner", *arguments],
            cwd=cwd,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def steps(self) -> list[str]:
        return self.builds.read_text().split() if self.builds.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_use_sets_up_and_later_ones_do_not(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    first = machine.run("status")
    assert first.returncode == 0, first.stderr
    assert first.stderr.count("\n") == 1
    assert "setting up" in first.stderr
    assert "args=-P -m cli status" in first.stdout
    second = machine.run("status")
    assert (second.returncode, second.stderr) == (0, "")
    assert machine.steps == ["venv", "pip"]


def test_the_caller_keeps_its_folder_and_its_arguments(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3.11", "3.11")
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    done = machine.run("replay", "my file.csv", "--out", "", cwd=elsewhere)
    assert f"cwd={elsewhere}" in done.stdout
    assert "args=-P -m cli replay my file.csv --out \n" in done.stdout
    assert f"path={machine.home}\n" in done.stdout


def test_links_lead_to_the_folder_of_the_scanner(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3.11", "3.11")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to("../the scanner/btc-scanner")
    (tmp_path / "two").symlink_to(tmp_path / "links" / "one")
    done = machine.run("up", launcher=tmp_path / "two", cwd=tmp_path)
    assert f"path={machine.home}\n" in done.stdout, done.stderr


def test_it_works_when_called_by_name(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    (machine.bin / "scan").symlink_to(machine.home / "btc-scanner")
    done = subprocess.run(
        ["/bin/sh", "-c", "scan up"],
        env=machine.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"path={machine.home}\n" in done.stdout, done.stderr
    done = subprocess.run(
        ["/bin/sh", "btc-scanner", "up"], cwd=machine.home, env=machine.environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert f"path={machine.home}\n" in done.stdout, done.stderr


def test_the_newest_usable_python_is_taken(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    machine.add_python("python3.13", "3.13")
    machine.add_python("python3.14", "3.14", state="no-venv")
    assert "Python 3.13 " in machine.run("up").stderr


def test_a_shim_that_does_not_run_is_passed_over(machine: Machine, tmp_path: Path) -> None:
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "python3.13").write_text("#!/bin/sh\necho 'pyenv: not found' >&2\nexit 127\n")
    (shims / "python3.13").chmod(0o755)
    machine.add_python("python3.13", "3.13")
    machine.add_python("python3.11", "3.11")
    done = machine.run("up", PATH=f"{shims}::{machine.bin}")
    assert "Python 3.13 " in done.stderr
    assert "pyenv" not in done.stderr


def test_without_any_python_it_says_what_to_install(machine: Machine) -> None:
    done = machine.run("up")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "sudo apt install python3" in done.stderr


def test_a_python_that_is_too_old_is_named(machine: Machine) -> None:
    machine.add_python("python3", "3.9", state="unsupported")
    done = machine.run("up")
    assert done.returncode == 1
    assert f"{machine.bin}/python3 is 3.9" in done.stderr


@pytest.mark.parametrize(
    ("own", "line"),
    [
        pytest.param(True, "apt install python3-venv", id="the-systems-own"),
        pytest.param(False, "apt install python3.12-venv", id="another"),
    ],
)
def test_a_missing_venv_module_gives_the_line_to_type(
    machine: Machine, own: bool, line: str
) -> None:
    python = machine.add_python("python3.12", "3.12", state="no-venv")
    (machine.bin / "apt").symlink_to("/bin/true")
    if own:
        (machine.bin / "python3").symlink_to(python.name)
    done = machine.run("up")
    assert done.returncode == 1
    assert f"    sudo {line}" in done.stderr.splitlines()
    assert not (machine.home / ".venv").exists()


def test_root_without_sudo_is_not_told_to_use_it(machine: Machine) -> None:
    machine.add_python("python3", "3.11", state="no-venv")
    (machine.bin / "apt").symlink_to("/bin/true")
    (machine.bin / "sudo").unlink()
    (machine.bin / "id").unlink()
    (machine.bin / "id").write_text("#!/bin/sh\necho 0\n")
    (machine.bin / "id").chmod(0o755)
    assert "    apt install python3-venv" in machine.run("up").stderr.splitlines()


def test_python_can_be_chosen_and_changed(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3.13", "3.13")
    chosen = machine.add_python("mine", "3.12", folder=tmp_path / "opt")
    assert "Python 3.12 " in machine.run("up", PYTHON="opt/mine", cwd=tmp_path).stderr
    assert "Python 3.13 " in machine.run("up", PYTHON="python3.13").stderr
    assert machine.run("up").stderr == ""
    bad = machine.run("up", PYTHON=str(chosen.with_name("absent")))
    assert bad.returncode == 1
    assert "absent is not that" in bad.stderr


@pytest.mark.parametrize("change", ["requirements", "python", "interrupted"])
def test_a_stale_environment_is_built_anew(machine: Machine, change: str) -> None:
    machine.add_python("python3.11", "3.11")
    machine.run("up")
    left = machine.home / ".venv" / "left-over"
    left.touch()
    if change == "requirements":
        (machine.home / "requirements.txt").write_text("# something\n")
    elif change == "python":
        (machine.home / ".venv" / "bin" / "python").unlink()
    else:
        (machine.home / ".venv" / ".ready-run").unlink()
    done = machine.run("up")
    assert done.returncode == 0
    assert "setting up" in done.stderr
    assert not left.exists()
    assert machine.run("up").stderr == ""


def test_a_failed_installation_shows_the_end_of_the_log_and_is_redone(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    failed = machine.run("up", PIP_FAILS="1")
    assert failed.returncode == 1
    assert "    no route to the index" in failed.stderr
    assert str(machine.home / ".venv" / "setup.log") in failed.stderr
    assert "PIP_INDEX_URL" in failed.stderr
    assert machine.run("up").returncode == 0
    assert machine.steps == ["venv", "pip", "venv", "pip"]


def test_development_adds_to_an_environment_that_is_there(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    machine.run("up")
    done = machine.run("--dev", "-m", "pytest")
    assert "args=-m pytest" in done.stdout
    assert machine.steps == ["venv", "pip", "pip"]
    assert machine.run("--dev").stderr == ""
    assert machine.run("up").stderr == ""


def test_development_alone_serves_for_running_too(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    machine.run("--dev")
    assert machine.run("up").stderr == ""
    assert machine.steps == ["venv", "pip"]


def test_two_first_uses_at_once_set_up_once(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    calls = [
        subprocess.Popen(
            [machine.home / "btc-scanner", "up"],
            env=machine.environment(PIP_SLEEP="0.3"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    outputs = [call.communicate(timeout=30) for call in calls]
    assert [call.returncode for call in calls] == [0] * 4, outputs
    assert machine.steps == ["venv", "pip"]
    assert all("args=-P -m cli up" in out for out, _ in outputs)


def test_a_killed_set_up_does_not_block_the_next(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    call = subprocess.Popen(
        [machine.home / "btc-scanner", "up"],
        env=machine.environment(PIP_SLEEP="20"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 10
    while "pip" not in machine.steps and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(call.pid, 9)
    call.wait()
    done = machine.run("up")
    assert done.returncode == 0, done.stderr
    assert machine.steps == ["venv", "pip"] * 2


def test_another_place_for_the_environment(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3.11", "3.11")
    done = machine.run("up", BTC_SCANNER_VENV="else/venv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "else" / "venv" / ".ready-run").exists()
    assert not (machine.home / ".venv").exists()


def test_an_environment_that_cannot_be_written_is_named(machine: Machine) -> None:
    machine.add_python("python3.11", "3.11")
    (machine.home / ".venv" / ".lock").mkdir(parents=True)  # which not even root can write
    done = machine.run("status")
    assert done.returncode == 1
    assert ".venv cannot be written; name another folder in BTC_SCANNER_VENV." in done.stderr
    assert "Is a directory" not in done.stderr
    assert not machine.steps


def test_a_folder_with_other_things_is_never_emptied(machine: Machine, tmp_path: Path) -> None:
    machine.add_python("python3.11", "3.11")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1").touch()
    done = machine.run("up", BTC_SCANNER_VENV=str(tmp_path / "thesis"))
    assert done.returncode == 1
    assert "no virtual environment" in done.stderr
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter1"]


@pytest.mark.parametrize("script", ["btc-scanner", "deploy/install.sh"])
@pytest.mark.parametrize(
    ("version_info", "version", "said"),
    [
        ((3, 11, 0, "candidate", 1), "3.11.0rc1 (main)", "unsupported 3.11.0rc1 "),
        ((3, 11, 0, "final", 0), "3.11.0 (main)", "usable 3.11 "),
        ((3, 14, 2, "final", 0), "3.14.2 (main)", "usable 3.14 "),
        ((3, 10, 12, "final", 0), "3.10.12 (main)", "unsupported 3.10 "),
        ((3, 15, 0, "final", 0), "3.15.0 (main)", "unsupported 3.15 "),
    ],
)
def test_both_scripts_take_the_same_pythons(
    script: str, version_info: tuple[object, ...], version: str, said: str
) -> None:
    text = (ROOT / script).read_text(encoding="utf-8")
    [probe] = re.findall(r"^probe='\n(.*?)^'$", text, re.MULTILINE | re.DOTALL)
    code = f"import sys; sys.version_info = {version_info!r}; sys.version = {version!r}\n{probe}"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(said)
