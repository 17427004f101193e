"""docker-compose.yml on a real engine: the demo of a fresh clone, then the scanner as users run it.

The tests are one story, in their order. Where the engine cannot reach a registry, stand-ins for the
two base images are taken from images named local/python and local/redis.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
STAND_INS = {"python:3.13-slim": "local/python", "redis:7.4-alpine": "local/redis"}
SERVICES = ("ingest", "indicators", "detector", "notifier")
SECRETS = {
    "smtp_password": "secret",
    "telegram_bot_token": "42:SIMULATED",
    "telegram_chat_id": "4242",
}
# Lets the real services reach the demo's outside, in place of the world.
OVERRIDE = """
services:
  demo-outside: { networks: [demo, outside] }
  notifier: { volumes: ["demo-outside:/demo:ro"] }
  operator: { volumes: ["demo-outside:/demo:ro"] }
"""
OUTSIDE = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9082/%s').read().decode())"

pytestmark = pytest.mark.timeout(1200)


@dataclass
class Stack:
    """A fresh clone, and its containers."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str, may_fail: bool = False, timeout: float = 900) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, check=False, timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert may_fail or done.returncode == 0, f"{command}: {done.stdout}\n{self.logs()}"
        return done.stdout

    def compose(self, *command: str, may_fail: bool = False) -> str:
        return self.run("docker", "compose", *command, may_fail=may_fail)

    def logs(self) -> str:
        done = subprocess.run(
            ["docker", "compose", "--profile", "*", "logs", "--tail", "20"],
            cwd=self.folder, env=self.environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout

    def inspected(self, *, all_states: bool = False) -> dict[str, dict[str, Any]]:
        """What the engine knows of each container, by name without the project's."""
        project = self.environment["COMPOSE_PROJECT_NAME"]
        options = ["-a"] if all_states else []
        ids = self.run(
            "docker",
            "ps",
            "-q",
            *options,
            "--filter",
            f"label=com.docker.compose.project={project}",
        ).split()
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *ids)) if ids else []
        return {each["Name"].removeprefix(f"/{project}-"): each for each in found}

    def inside(self, container: str, *command: str, may_fail: bool = False) -> str:
        name = f"{self.environment['COMPOSE_PROJECT_NAME']}-{container}"
        return self.run("docker", "exec", name, *command, may_fail=may_fail)

    def redis(self, container: str, *command: str) -> str:
        password = "REDISCLI_AUTH=$(cat /run/passwords/operator/redis_password)"
        ask = f'{password} redis-cli --user operator "$@"'
        return self.inside(container, "sh", "-c", ask, "sh", *command).strip()

    def outside(self, what: str) -> dict[str, Any]:
        """What the simulated world says of itself."""
        found: dict[str, Any] = json.loads(
            self.inside("demo-outside-1", "python", "-c", OUTSIDE % what)
        )
        return found

    def delivered(self) -> list[str]:
        """The signals that were mailed, in order."""
        return [
            mail["signal_id"] for mail in self.outside("deliveries")["email"] if mail["signal_id"]
        ]

    def telegrams(self) -> int:
        return len(self.outside("deliveries")["telegram"])

    def health(self, container: str) -> str:
        return str(self.inspected()[container]["State"]["Health"]["Status"])


def until(what: str, holds: Callable[[], Any], seconds: float = 240) -> Any:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not (seen := holds()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.5)
    return seen


def succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A copy of what git has, under a project name of its own."""
    if shutil.which("docker") is None or not succeeds("docker", "info"):
        pytest.skip("no container engine here: `docker info` fails")
    if not succeeds("docker", "compose", "version"):
        pytest.skip("`docker compose` is not here")
    for image, stand_in in STAND_INS.items():
        if succeeds("docker", "image", "inspect", stand_in):
            subprocess.run(["docker", "tag", stand_in, image], check=True)
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], stdout=subprocess.PIPE, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    name = f"scanner-test-{os.getpid()}"
    environment = {**os.environ, "COMPOSE_PROJECT_NAME": name, "BTC_SCANNER_IMAGE": name}
    for variable in ("COMPOSE_PROFILES", "COMPOSE_FILE"):
        environment.pop(variable, None)
    stack = Stack(folder, environment)
    try:
        yield stack
    finally:
        stack.compose("--profile", "*", "down", "-v", "--remove-orphans", "-t", "5", may_fail=True)
        stack.run("docker", "image", "rm", "-f", name, may_fail=True)


def say(what: str) -> None:
    """Something to know, for who runs with -s."""
    sys.stdout.write(f"\n{what}\n")


def timed(what: str, action: Callable[[], Any]) -> None:
    began = time.monotonic()
    action()
    say(f"{what}: {time.monotonic() - began:.0f} s")


def test_the_demo_of_a_fresh_clone_delivers_and_all_is_healthy(stack: Stack) -> None:
    assert not (stack.folder / "config.json").exists()
    assert not (stack.folder / "secrets").exists()
    timed("build", lambda: stack.compose("--profile", "demo", "build"))
    image = stack.environment["BTC_SCANNER_IMAGE"]
    sizes = [
        int(stack.run("docker", "image", "inspect", name, "--format", "{{.Size}}"))
        for name in (image, "python:3.13-slim")
    ]
    say(f"image: {sizes[0] / 1e6:.0f} MB, {(sizes[0] - sizes[1]) / 1e6:.0f} MB above its base")
    up = ["--profile", "demo", "up", "-d", "--wait"]
    timed("start of the demo until all is healthy", lambda: stack.compose(*up))
    found = stack.inspected()
    assert set(found) == {f"demo-{name}-1" for name in (*SERVICES, "redis", "outside")}
    assert {each["State"]["Health"]["Status"] for each in found.values()} == {"healthy"}
    until("a mail and a Telegram message", lambda: stack.delivered() and stack.telegrams())
    logs = stack.compose("--profile", "demo", "logs", "demo-outside")
    assert "email to trader@example.com: " in logs
    assert "Telegram to 4242:" in logs


def test_every_container_can_do_little(stack: Stack) -> None:
    for name, each in stack.inspected(all_states=True).items():
        host = each["HostConfig"]
        assert host["ReadonlyRootfs"], name
        assert host["CapDrop"] == ["ALL"], name
        assert not host["CapAdd"], name
        assert not host["Privileged"], name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        assert 0 < host["Memory"] <= 512 * 2**20, name
        assert 0 < host["PidsLimit"] <= 64, name
        assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "5"}, name
        assert not any(each["NetworkSettings"]["Ports"].values()), name  # exposed at most
        assert not host["PortBindings"], name
        assert each["Config"]["User"] in ("10001:10001", "redis"), name
    for name in stack.inspected():
        assert stack.inside(name, "id", "-u").strip() not in ("", "0")
        refused = stack.inside(name, "sh", "-c", "echo x > /app-or-root-file", may_fail=True)
        assert "Read-only file system" in refused
    project = stack.environment["COMPOSE_PROJECT_NAME"]
    internal = stack.run(
        "docker", "network", "inspect", f"{project}_demo", "--format", "{{.Internal}}"
    )
    assert internal.strip() == "true"


def passwords(stack: Stack, prefix: str, services: Sequence[str] = SERVICES) -> set[str]:
    """What the services use, each asked for its own; nobody else's is there."""
    found = set()
    for name in services:
        folder = f"/run/passwords/{name}"
        found.add(stack.inside(f"{prefix}{name}-1", "cat", f"{folder}/redis_password").strip())
        seen = stack.inside(f"{prefix}{name}-1", "find", "/run/passwords", "-name", "redis_*")
        assert seen.split() == [f"{folder}/redis_password"]
    return found


def test_no_secret_is_told_by_the_engine(stack: Stack) -> None:
    kept = passwords(stack, "demo-")
    assert len(kept) == 4
    assert min(map(len, kept)) >= 40
    _assert_untold(stack, kept)


def _assert_untold(stack: Stack, secrets: set[str]) -> None:
    told = json.dumps(stack.inspected(all_states=True))
    for name in stack.inspected():
        project = stack.environment["COMPOSE_PROJECT_NAME"]
        told += stack.run("docker", "top", f"{project}-{name}", "-eo", "pid,args")
    image = stack.environment["BTC_SCANNER_IMAGE"]
    told += stack.run("docker", "history", "--no-trunc", image)
    told += stack.run("docker", "image", "inspect", image)
    told += stack.compose("--profile", "*", "config")
    told += stack.compose("--profile", "*", "logs")
    for secret in secrets:
        assert secret not in told


def test_the_image_holds_the_program_and_nothing_else(stack: Stack) -> None:
    image = stack.environment["BTC_SCANNER_IMAGE"]
    run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c"]
    assert stack.run(*run, "ls -A /app").split() == [
        "LICENSE", "README.md", "cli", "config.example.json", "services", "shared", "sim",
    ]  # fmt: skip
    assert (
        stack.run(*run, "command -v gcc cc make git pip || true; test -w /app || id -u")
        == "10001\n"
    )
    assert stack.run("docker", "run", "--rm", "--network", "none", image, "version").startswith(
        "btc-scanner "
    )


def test_three_notifiers_share_the_work(stack: Stack) -> None:
    stack.compose("--profile", "demo", "up", "-d", "--wait", "--scale", "demo-notifier=3")
    beats = stack.redis("demo-redis-1", "--scan", "--pattern", "health:notifier:*").split()
    hosts = {name: each["Config"]["Hostname"] for name, each in stack.inspected().items()}
    mine = {f"health:notifier:{hosts[f'demo-notifier-{n}']}" for n in (1, 2, 3)}
    assert set(beats) == mine
    before = len(stack.delivered())
    until("two more signals", lambda: len(stack.delivered()) >= before + 2)
    mailed = stack.delivered()
    assert len(mailed) == len(set(mailed))


# Kills the service itself, the one child of the container's init.
KILL = """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    parent = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1]
    if parent == "1" and int(pid) != os.getpid():
        os.kill(int(pid), 9)
"""
STOP = """
import os, signal
for pid in filter(str.isdigit, os.listdir("/proc")):
    command = open(f"/proc/{pid}/cmdline").read()
    if "services" in command and int(pid) not in (1, os.getpid()):
        os.kill(int(pid), signal.SIGSTOP)
"""


def test_a_killed_service_is_started_again_and_goes_on(stack: Stack) -> None:
    for name in SERVICES:
        stack.inside(f"demo-{name}-1", "python", "-c", KILL, may_fail=True)
    for name in SERVICES:
        container = f"demo-{name}-1"
        until(
            f"{container} to be started again",
            lambda c=container: stack.inspected().get(c, {}).get("RestartCount", 0) >= 1,
        )
        until(f"{container} to be healthy", lambda c=container: stack.health(c) == "healthy")
    before = len(stack.delivered())
    until("one more signal", lambda: len(stack.delivered()) > before)
    mailed = stack.delivered()
    assert len(mailed) == len(set(mailed))


def test_a_hanging_service_becomes_unhealthy(stack: Stack) -> None:
    stack.inside("demo-indicators-1", "python", "-c", STOP)
    until("unhealthy", lambda: stack.health("demo-indicators-1") == "unhealthy")
    log = stack.inspected()["demo-indicators-1"]["State"]["Health"]["Log"]
    assert "does not answer within 3 s" in log[-1]["Output"]


def test_without_a_configuration_the_real_one_does_not_start(stack: Stack) -> None:
    stack.compose("--profile", "demo", "down", "-t", "5")
    said = stack.compose("up", "-d", "ingest", may_fail=True)
    assert "config.json" in said
    assert "ingest-1" not in stack.inspected()


def test_the_real_one_runs_on_its_secrets_and_its_volume(stack: Stack) -> None:
    (stack.folder / "docker-compose.override.yml").write_text(OVERRIDE)
    stack.environment["COMPOSE_PROFILES"] = "live,demo"
    stack.compose("up", "-d", "--wait", "demo-outside")
    config = json.loads(stack.inside("demo-outside-1", "cat", "/demo/config.json"))
    config.pop("redis")
    del config["smtp"]["password"], config["telegram"]["bot_token"], config["telegram"]["chat_id"]
    (stack.folder / "config.json").write_text(json.dumps(config))
    folder = stack.folder / "secrets"
    folder.mkdir(mode=0o700)
    for name, secret in SECRETS.items():
        (folder / name).write_text(f"{secret}\n")
    services = ["redis", *SERVICES]
    up = ["up", "-d", "--wait", "--scale", "notifier=3", *services]
    timed("start of the real one until all is healthy", lambda: stack.compose(*up))
    found = stack.inspected()
    assert {"notifier-1", "notifier-2", "notifier-3"} < set(found)
    until("a mail and a Telegram message", lambda: stack.delivered() and stack.telegrams())
    networks = {name: set(each["NetworkSettings"]["Networks"]) for name, each in found.items()}
    project = stack.environment["COMPOSE_PROJECT_NAME"]
    reach = {name for name in found if f"{project}_outside" in networks[name]}
    assert reach == {"ingest-1", "notifier-1", "notifier-2", "notifier-3", "demo-outside-1"}
    for name in ("ingest-1", "indicators-1", "detector-1"):
        assert "No such file" in stack.inside(name, "ls", "/run/secrets", may_fail=True)
    kept = passwords(stack, "")
    _assert_untold(stack, {*kept, SECRETS["telegram_bot_token"]})


def test_the_operators_commands_work_in_a_container(stack: Stack) -> None:
    run = ["run", "--rm", "-T", "operator"]
    said = until("HEALTHY", lambda: _healthy(stack.compose(*run, "status", may_fail=True)))
    assert all(f"\n  {name}" in said for name in SERVICES)
    assert "BTC/USDT" in stack.compose(*run, "signals")
    assert "DENIED" not in stack.compose(*run, "events").upper()


def _healthy(said: str) -> str:
    found = [line for line in said.splitlines() if line.startswith("HEALTHY ")]
    return said if found else ""


def test_state_outlives_containers_restarts_and_removal(stack: Stack) -> None:
    def signals() -> int:
        return int(stack.redis("redis-1", "XLEN", "signals"))

    before, first = signals(), stack.redis("redis-1", "XRANGE", "signals", "-", "+", "COUNT", "1")
    kept = passwords(stack, "")
    assert before > 0
    project = stack.environment["COMPOSE_PROJECT_NAME"]
    stack.run(
        "docker", "kill", "-s", "KILL", *(f"{project}-{name}-1" for name in ("redis", *SERVICES))
    )
    stack.compose("up", "-d", "--wait", "redis", *SERVICES)
    # A killed Redis may lose its last moments, which the services then find again.
    until("all signals", lambda: signals() >= before)
    assert stack.redis("redis-1", "XRANGE", "signals", "-", "+", "COUNT", "1") == first
    stack.compose("rm", "-fs", "setup", "redis", *SERVICES)
    stack.compose("up", "-d", "--wait", "redis", *SERVICES)
    assert signals() >= before
    assert stack.redis("redis-1", "XRANGE", "signals", "-", "+", "COUNT", "1") == first
    assert passwords(stack, "") == kept
    before = len(stack.delivered())
    until("one more signal", lambda: len(stack.delivered()) > before)


def test_new_rights_reach_a_redis_that_runs(stack: Stack) -> None:
    began = stack.inspected()["redis-1"]["State"]["StartedAt"]
    stack.compose("up", "-d", "--force-recreate", "setup")
    until("setup", lambda: "has read its users again" in stack.compose("logs", "setup"))
    assert stack.inspected()["redis-1"]["State"]["StartedAt"] == began
    assert stack.redis("redis-1", "ACL", "WHOAMI") == "operator"
    until("healthy", lambda: stack.health("detector-1") == "healthy")
