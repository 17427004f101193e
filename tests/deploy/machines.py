"""Machines to install on: containers that boot systemd, and what is asked of a scanner there."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.deploy.lab import ROOT, docker, tree_names

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

    def copy_tree(self, target: str) -> None:
        """Copy this working tree."""
        packed = subprocess.run(
            ["tar", "-C", str(ROOT), "--null", "-T", "-", "-cf", "-"],
            input="\0".join(tree_names()).encode(),
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


@contextmanager
def booted(image: str, name: str) -> Iterator[Machine]:
    """A fresh machine, taken away at the end."""
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
        machine = Machine(name)
        machine.wait_for_boot()
        yield machine
    finally:
        docker("rm", "-f", name)


SERVICES = [
    "btc-scanner-redis",
    "btc-scanner-ingest",
    "btc-scanner-indicators",
    "btc-scanner-detector",
    "btc-scanner-notifier@1",
]
ALL = ["btc-scanner", *SERVICES]
SIM_PORTS = "7001,7002,7003,7004,7005"
# Changes a configuration, `tree`, so that the simulated outside is its world; and all of it.
OUTSIDE_AS_WORLD = """
outside = json.load(open("/sim/addresses"))
smtp = outside["smtp"]
tree["exchange"].update({
    "rest_hosts": [outside["rest"]], "ws_hosts": [outside["ws"]],
    "max_clock_skew_seconds": None, "blind_after_seconds": 100000,
})
tree["smtp"] = {
    "server": smtp["host"], "port": smtp["port"], "user": smtp["user"], "use_ssl": True,
    "from_email": "scanner@example.com", "to_email": "trader@example.com",
    "ca_file": smtp["ca_file"],
}
tree["telegram"] = {
    "enabled": True, "chat_id": str(outside["chat_id"]), "api_url": outside["bot_api"],
}
"""
CONFIGURE = f"""
import json
path = "/etc/btc-scanner/config.json"
tree = json.load(open(path))
{OUTSIDE_AS_WORLD}
with open(path, "w") as file:
    json.dump(tree, file, indent=2)
secrets = {{"smtp_password": smtp["password"], "telegram_bot_token": outside["bot_token"]}}
for name, secret in secrets.items():
    with open("/etc/btc-scanner/credentials/" + name, "w") as file:
        file.write(secret)
"""


def show(machine: Machine, unit: str, name: str) -> str:
    return machine.run(f"systemctl show -p {name} --value {unit}")


def pids(machine: Machine) -> dict[str, str]:
    return {unit: show(machine, unit, "MainPID") for unit in SERVICES}


def all_active(machine: Machine) -> bool:
    states = machine.run(f"systemctl is-active {' '.join(ALL)}", may_fail=True).split()
    return states == ["active"] * len(ALL)


def outside(machine: Machine) -> dict[str, Any]:
    """What the simulated outside has seen."""
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:7005/state').read().decode())"
    state: dict[str, Any] = json.loads(machine.run(f'python3 -c "{ask}"'))
    return state


def start_outside(machine: Machine, start_ms: int | None = None) -> None:
    machine.run("mkdir -p /sim && rm -f /sim/addresses")
    start = f"--start {start_ms}" if start_ms else ""
    machine.start_in_background(
        "cd /src && exec /opt/btc-scanner/current/venv/bin/python -m sim --market 7 --days 60"
        f" --history-days 5 {start} --speed 1200 --weight-limit 0 --dir /sim --ports {SIM_PORTS}"
        " >/sim/addresses 2>/sim/errors </dev/null"
    )
    machine.run("until [ -s /sim/addresses ]; do sleep 0.2; done", timeout=60)


def signals(machine: Machine) -> list[str]:
    listed = json.loads(machine.run("btc-scanner signals -n 1000 --json"))
    return [each["id"] for each in listed["signals"]]


REDIS_USERS = ["ingest", "indicators", "detector", "notifier", "operator"]
PASSWORDS = "/etc/btc-scanner/credentials/redis"
ASK_REDIS = f"""
import sys, redis
user, *command = sys.argv[1:]
login = {{}}
if user != "nobody":
    with open(f"{PASSWORDS}/{{user}}/redis_password") as file:
        login = {{"username": user, "password": file.read().strip()}}
client = redis.Redis(unix_socket_path="/run/btc-scanner/redis.sock", protocol=2, **login)
try:
    print(client.execute_command(*command))
except redis.RedisError as error:
    print("REFUSED:", error)
"""


def redis_says(machine: Machine, user: str, command: str) -> str:
    """What Redis answers to a user; ``nobody`` has no password."""
    python = "/opt/btc-scanner/current/venv/bin/python"
    return machine.run(f"{python} - {user} {command} <<'END'\n{ASK_REDIS}\nEND")


def redis_passwords(machine: Machine) -> list[str]:
    return machine.run(f"cat {PASSWORDS}/*/redis_password").split()


def well_by_its_own_word(machine: Machine, service: str) -> bool:
    return machine.ask(f"btc-scanner health {service}").returncode == 0


def healthy(machine: Machine) -> bool:
    return machine.ask("btc-scanner status").returncode == 0


def traces(machine: Machine) -> str:
    """All files that an installation may leave, with owner, mode and content."""
    places = "/opt /etc /usr/local /var/lib/btc-scanner /var/log/btc-scanner /run/btc-scanner"
    unlike = "-not -path '*/__pycache__*' -not -path '/var/lib/btc-scanner/*' -not -name '*.log'"
    return machine.run(
        f"find {places} {unlike} -printf '%p %u %g %m %l\\n' 2>/dev/null | sort;"
        f" find /opt /etc /usr/local -type f {unlike} -print0 2>/dev/null | sort -z"
        " | xargs -0 -r sha256sum; systemctl list-unit-files --no-legend 'btc-scanner*' || true"
    )
