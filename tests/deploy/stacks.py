"""The containers of docker-compose.yml, of a fresh clone.

Where the engine cannot reach a registry, stand-ins for the two base images are taken from images
named local/python and local/redis.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass
class Stack:
    """A fresh clone, and its containers."""

    folder: Path
    environment: dict[str, str]

    @property
    def project(self) -> str:
        return self.environment["COMPOSE_PROJECT_NAME"]

    @property
    def image(self) -> str:
        return self.environment["BTC_SCANNER_IMAGE"]

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
        of_this = f"label=com.docker.compose.project={self.project}"
        options = ["-a"] if all_states else []
        ids = self.run("docker", "ps", "-q", *options, "--filter", of_this).split()
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *ids)) if ids else []
        return {each["Name"].removeprefix(f"/{self.project}-"): each for each in found}

    def inside(self, container: str, *command: str, may_fail: bool = False) -> str:
        return self.run(
            "docker", "exec", f"{self.project}-{container}", *command, may_fail=may_fail
        )

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

    def settle_on_the_real_market(self) -> None:
        """What a person prepares: configuration and secrets; the outside stays the demo's.

        Raises:
            AssertionError: The demo's outside does not run.
        """
        config = json.loads(self.inside("demo-outside-1", "cat", "/demo/config.json"))
        config.pop("redis")
        del config["smtp"]["password"]
        del config["telegram"]["bot_token"], config["telegram"]["chat_id"]
        (self.folder / "config.json").write_text(json.dumps(config))
        (self.folder / "secrets").mkdir(mode=0o700, exist_ok=True)
        for name, secret in SECRETS.items():
            (self.folder / "secrets" / name).write_text(f"{secret}\n")

    def override(self) -> None:
        """Let the real services reach the demo's outside."""
        (self.folder / "docker-compose.override.yml").write_text(OVERRIDE)


@contextmanager
def running_stack(folder: Path, name: str) -> Iterator[Stack]:
    """A clone whose containers and images bear ``name`` and are taken away at the end."""
    for image, stand_in in STAND_INS.items():
        if succeeds("docker", "image", "inspect", stand_in):
            subprocess.run(["docker", "tag", stand_in, image], check=True)
    environment = {**os.environ, "COMPOSE_PROJECT_NAME": name, "BTC_SCANNER_IMAGE": name}
    for variable in ("COMPOSE_PROFILES", "COMPOSE_FILE"):
        environment.pop(variable, None)
    stack = Stack(folder, environment)
    try:
        yield stack
    finally:
        stack.compose("--profile", "*", "down", "-v", "--remove-orphans", "-t", "5", may_fail=True)
        stack.run("docker", "image", "rm", "-f", name, may_fail=True)


def succeeds(*command: str) -> bool:
    """Whether a command ends with 0."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
