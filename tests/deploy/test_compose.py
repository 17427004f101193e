"""docker-compose.yml on a real engine: the demo of a fresh clone, then the scanner as users run it.

The tests are one story, in their order.
"""

import json
import os
import subprocess
from collections.abc import Sequence

import pytest

from tests.deploy.lab import say, timed, until
from tests.deploy.stacks import SECRETS, Stack, succeeds

SERVICES = ("ingest", "indicators", "detector", "notifier")

pytestmark = pytest.mark.timeout(1200)


def test_the_demo_of_a_fresh_clone_delivers_and_all_is_healthy(stack: Stack) -> None:
    assert not (stack.folder / "config.json").exists()
    assert not (stack.folder / "secrets").exists()
    timed("build", lambda: stack.compose("--profile", "demo", "build"))
    sizes = [
        int(stack.run("docker", "image", "inspect", name, "--format", "{{.Size}}"))
        for name in (stack.image, "python:3.13-slim")
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
    internal = stack.run(
        "docker", "network", "inspect", f"{stack.project}_demo", "--format", "{{.Internal}}"
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
        told += stack.run("docker", "top", f"{stack.project}-{name}", "-eo", "pid,args")
    told += stack.run("docker", "history", "--no-trunc", stack.image)
    told += stack.run("docker", "image", "inspect", stack.image)
    told += stack.compose("--profile", "*", "config")
    told += stack.compose("--profile", "*", "logs")
    for secret in secrets:
        assert secret not in told


def test_the_image_holds_the_program_and_nothing_else(stack: Stack) -> None:
    run = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", stack.image, "-c"]
    assert stack.run(*run, "ls -A /app").split() == [
        "LICENSE", "README.md", "cli", "config.example.json", "services", "shared", "sim",
    ]  # fmt: skip
    assert (
        stack.run(*run, "command -v gcc cc make git pip || true; test -w /app || id -u")
        == "10001\n"
    )
    assert stack.run(
        "docker", "run", "--rm", "--network", "none", stack.image, "version"
    ).startswith("btc-scanner ")


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
    stack.override()
    stack.environment["COMPOSE_PROFILES"] = "live,demo"
    stack.compose("up", "-d", "--wait", "demo-outside")
    stack.settle_on_the_real_market()
    services = ["redis", *SERVICES]
    up = ["up", "-d", "--wait", "--scale", "notifier=3", *services]
    timed("start of the real one until all is healthy", lambda: stack.compose(*up))
    found = stack.inspected()
    assert {"notifier-1", "notifier-2", "notifier-3"} < set(found)
    until("a mail and a Telegram message", lambda: stack.delivered() and stack.telegrams())
    networks = {name: set(each["NetworkSettings"]["Networks"]) for name, each in found.items()}
    reach = {name for name in found if f"{stack.project}_outside" in networks[name]}
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
    stack.run(
        "docker",
        "kill",
        "-s",
        "KILL",
        *(f"{stack.project}-{name}-1" for name in ("redis", *SERVICES)),
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


def test_after_a_restart_of_the_engine_all_is_there_again(stack: Stack) -> None:
    """Restarting an engine ends whatever else runs in it, so that only happens when it is asked."""
    restart = os.environ.get("BTC_SCANNER_RESTART_ENGINE")
    if restart is None:
        pytest.skip("BTC_SCANNER_RESTART_ENGINE names no command, as `systemctl restart docker`")
    stack.compose("--profile", "demo", "up", "-d", "--wait")
    began, kept = stack.inspected(), int(stack.redis("redis-1", "XLEN", "signals"))
    assert kept > 0
    subprocess.run(["bash", "-c", restart], check=True, timeout=300)
    until("the engine", lambda: succeeds("docker", "info"))
    for name, before in began.items():

        def again(name: str = name, before: str = before["State"]["StartedAt"]) -> bool:
            found = stack.inspected().get(name)
            return found is not None and found["State"]["StartedAt"] != before

        until(f"{name} to be started again", again)
    # The demo begins a new market; for the real services that is a past which they have seen.
    for name in ("redis-1", *(each for each in began if each.startswith("demo-"))):
        until(f"{name} to be healthy", lambda n=name: stack.health(n) == "healthy")
    until("a mail", stack.delivered)
    assert int(stack.redis("redis-1", "XLEN", "signals")) >= kept
