"""Machines to install on: containers that boot systemd.

Run by ``make test-deploy``, not by ``make test``: they need a container engine, and minutes.
Without ``BTC_SCANNER_TEST_DEPLOY`` nothing here is collected.
"""

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
# A folder with what requirements.txt names, to download nothing.
WHEELS_VARIABLE = "BTC_SCANNER_WHEELS"
IMAGE_VARIABLE = "BTC_SCANNER_SYSTEMD_IMAGE"

if not os.environ.get("BTC_SCANNER_TEST_DEPLOY"):
    collect_ignore_glob = ["test_*.py"]

# What the boot of systemd in a container needs: writable control groups, and room to mount.
_BOOT = (
    "mount --make-rshared /; for m in /sys/fs/cgroup /sys/fs/cgroup/*/; do"
    ' mount -o remount,rw "$m" 2>/dev/null || mount -o remount,rw,bind "$m" || true; done;'
    " exec /lib/systemd/systemd"
)
# How this machine reaches package indexes; an image knows nothing of it.
_NETWORK = ("PIP_CERT", "PIP_INDEX_URL", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")


class Failed(AssertionError):
    """A command on the machine failed, which it should not."""


class Machine:
    """A booted container."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, command: str, *, may_fail: bool = False, timeout: float = 300) -> str:
        """What a shell command, run as root, prints on both outputs."""
        done = self.ask(command, timeout=timeout)
        if done.returncode != 0 and not may_fail:
            raise Failed(f"{command}\nended with {done.returncode}:\n{done.stdout}")
        return done.stdout.strip()

    def ask(self, command: str, timeout: float = 300) -> "subprocess.CompletedProcess[str]":
        """Run a command; its exit code and what it prints."""
        return subprocess.run(
            ["docker", "exec", self.name, "bash", "-c", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start_in_background(self, command: str) -> None:
        """Run a command that stays."""
        docker("exec", "-d", self.name, "bash", "-c", command)

    def copy_tree(self, source: Path, target: str) -> None:
        """Copy what git would, without what tests and tools leave."""
        listed = subprocess.run(
            ["git", "-C", str(source), "ls-files", "-z", "-co", "--exclude-standard"],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        names = b"\0".join(n for n in listed.split(b"\0") if n and (source / n.decode()).exists())
        packed = subprocess.run(
            ["tar", "-C", str(source), "--null", "-T", "-", "-cf", "-"],
            input=names,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        unpack = f"mkdir -p {target} && tar -C {target} --no-same-owner -xf -"
        subprocess.run(
            ["docker", "exec", "-i", self.name, "bash", "-c", unpack], input=packed, check=True
        )

    def cut_off(self) -> None:
        """Take its network away: what works now needs none, and reaches nobody."""
        docker("network", "disconnect", "bridge", self.name)

    def wait_for_boot(self) -> None:
        self.run(
            "until [ -S /run/dbus/system_bus_socket ]; do sleep 0.2; done;"
            " systemctl is-system-running --wait || true",
            timeout=120,
        )


def docker(*arguments: str) -> str:
    """Run the engine's client."""
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"docker {shlex.join(arguments)}: {done.stdout}"
    return done.stdout.strip()


@pytest.fixture(scope="session")
def image() -> str:
    """The image that boots."""
    if not shutil.which("docker"):
        pytest.skip("no container engine here: docker is not installed")
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("no container engine here: `docker info` fails")
    if named := os.environ.get(IMAGE_VARIABLE):
        return named
    tag = "btc-scanner-test-systemd"
    docker("build", "-q", "-t", tag, "-f", str(HERE / "systemd.Dockerfile"), str(HERE))
    return tag


@pytest.fixture(scope="module")
def machine(image: str) -> Iterator[Machine]:
    """A fresh machine with the source in /src and the Python packages in /wheels, cut off."""
    name = f"btc-scanner-test-{os.getpid()}"
    passed = [f"--env={each}={os.environ[each]}" for each in _NETWORK if os.environ.get(each)]
    docker(
        *("run", "-d", "--name", name, "--hostname", "machine", "--cgroupns=private"),
        *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN"),
        *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
        *("--tmpfs", "/run:mode=755", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"),
        *("--stop-signal", "SIGRTMIN+3", "-e", "container=docker", *passed),
        *(image, "sh", "-c", _BOOT),
    )
    try:
        booted = Machine(name)
        booted.wait_for_boot()
        booted.copy_tree(ROOT, "/src")
        if wheels := os.environ.get(WHEELS_VARIABLE):
            docker("cp", f"{wheels}/.", f"{name}:/wheels")
        else:
            booted.run("pip download -q --require-hashes -r /src/requirements.txt -d /wheels")
        booted.cut_off()
        yield booted
    finally:
        docker("rm", "-f", name)
