"""What is installed on, and run in: machines that boot systemd, and containers of a fresh clone.

Run by ``make test-deploy``, not by ``make test``: they need a container engine, and minutes.
Without ``BTC_SCANNER_TEST_DEPLOY`` nothing here is collected.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.lab import clone, docker, origin
from tests.deploy.machines import Machine, booted
from tests.deploy.stacks import Stack, running_stack, succeeds

HERE = Path(__file__).parent
# A folder with what requirements.txt names, to download nothing.
WHEELS_VARIABLE = "BTC_SCANNER_WHEELS"
IMAGE_VARIABLE = "BTC_SCANNER_SYSTEMD_IMAGE"

if not os.environ.get("BTC_SCANNER_TEST_DEPLOY"):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def engine() -> None:
    """Skip where no container engine runs."""
    if shutil.which("docker") is None or not succeeds("docker", "info"):
        pytest.skip("no container engine here: `docker info` fails")


@pytest.fixture(scope="session")
def image(engine: None) -> str:
    """The image that boots."""
    if named := os.environ.get(IMAGE_VARIABLE):
        return named
    tag = "btc-scanner-test-systemd"
    docker("build", "-q", "-t", tag, "-f", str(HERE / "systemd.Dockerfile"), str(HERE))
    return tag


@pytest.fixture(scope="module")
def machine_with_network(image: str) -> Iterator[Machine]:
    """A fresh machine with the source in /src and the Python packages in /wheels."""
    with booted(image, f"btc-scanner-test-{os.getpid()}") as fresh:
        fresh.copy_tree("/src")
        if wheels := os.environ.get(WHEELS_VARIABLE):
            docker("cp", f"{wheels}/.", f"{fresh.name}:/wheels")
        else:
            fresh.run(
                "for python in python3.14 python3.13 python3.12 python3.11 python3; do"
                " command -v $python >/dev/null && break; done; $python -m pip download -q"
                " --require-hashes -r /src/requirements.txt -d /wheels"
            )
        yield fresh


@pytest.fixture(scope="module")
def machine(machine_with_network: Machine) -> Machine:
    """The same, cut off: what works now needs no network, and reaches nobody."""
    machine_with_network.cut_off()
    return machine_with_network


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone comes from."""
    return origin(tmp_path_factory.mktemp("upstream") / "btc-scanner")


@pytest.fixture(scope="module")
def stack(
    engine: None, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """A fresh clone, under a project name of its own."""
    if not succeeds("docker", "compose", "version"):
        pytest.skip("`docker compose` is not here")
    folder = clone(repository, tmp_path_factory.mktemp("home") / "btc-scanner")
    with running_stack(folder, f"scanner-test-{os.getpid()}") as stack:
        yield stack
