"""What Dockerfile and docker-compose.yml must hold, on a machine without a container engine too."""

import re
from pathlib import Path

from shared.redis_acl import USERS

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def services() -> dict[str, str]:
    """The text of each service."""
    block = COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0]
    parts = re.split(r"^  ([a-z-]+):\n", block, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_image_is_built_of_locked_wheels_by_a_stage_that_is_left_behind() -> None:
    froms = re.findall(r"^FROM (\S+)( AS \w+)?$", DOCKERFILE, re.MULTILINE)
    assert froms == [("python:3.13-slim", " AS wheels"), ("python:3.13-slim", "")]
    first, last = DOCKERFILE.split("\nFROM ")[1:]
    assert "--require-hashes -r requirements.txt" in first
    assert "--only-binary :all:" in first
    for word in ("pip install", "apt-get", "gcc", "ARG ", "ADD "):
        assert word not in last


def test_the_image_runs_as_nobody_and_without_a_shell_in_between() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    for word in ("ENTRYPOINT", "CMD"):
        [command] = re.findall(rf"^{word} (.*)$", DOCKERFILE, re.MULTILINE)
        assert command.startswith("[")


def test_nothing_is_sent_to_the_engine_but_what_is_copied() -> None:
    copied = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        copied |= set(line.split()[:-1])
    rules = [line for line in IGNORED if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied


def test_nothing_is_published_or_privileged_and_no_password_is_written_down() -> None:
    for word in ("ports:", "privileged", "network_mode", "cap_add", "docker.sock", "PASSWORD:"):
        assert word not in COMPOSE
    assert not re.search(r"redis://[a-z]+:", COMPOSE)


def test_every_service_is_hardened_watched_and_in_one_profile() -> None:
    found = services()
    names = {"ingest", "indicators", "detector", "notifier", "redis"}
    assert set(found) == {*names, *(f"demo-{name}" for name in names), "demo-outside", "setup",
                          "operator"}  # fmt: skip
    for name, text in found.items():
        assert re.search(r"^    <<: \*(service|scanner|redis)$", text, re.MULTILINE), name
        watched = "healthcheck:" in text or "<<: *redis" in text
        assert watched == (name not in ("setup", "operator")), name
        assert len(re.findall(r"^    profiles: ", text, re.MULTILINE)) == 1, name


def test_every_service_has_its_own_redis_user_and_sees_its_own_password_only() -> None:
    for name, text in services().items():
        service = name.removeprefix("demo-")
        users = set(re.findall(r"password-([a-z]+):", text))
        if name == "setup":
            assert users == set(USERS)
        elif service in USERS:
            assert users == {service}
            assert f"redis://{service}@" in text
            assert f"CREDENTIALS_DIRECTORY: /run/passwords/{service}\n" in text
        else:
            assert users == ({"operator"} if service == "redis" else set())


def test_only_who_has_business_outside_can_leave() -> None:
    outside = {name for name, text in services().items() if "[inside, outside]" in text}
    assert outside == {"ingest", "notifier"}
    assert "inside: { internal: true }" in COMPOSE
    assert "demo: { internal: true }" in COMPOSE


def test_up_alone_means_the_real_market() -> None:
    assert "\nCOMPOSE_PROFILES=live\n" in (ROOT / ".env").read_text(encoding="utf-8")
