"""``doctor`` on a machine that is not fit, or where services are not well."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.doctor import ask_disk, ask_units
from services.notifier.gate import Gate
from shared import VERSION, keys
from shared.event import Trouble
from shared.events import EventsWriter
from shared.redis_access import RedisAccess
from shared.settings import Streams
from tests.integration.cli.doctor.patients import (
    Patient,
    only,
    says,
)

MB = 1024 * 1024


async def test_a_log_folder_that_cannot_be_written(ill: Patient) -> None:
    ill.set("logging", file="/proc/btc-scanner/scanner.log")
    report = await ill.doctor()
    says(
        report,
        "log folder",
        "fail",
        "/proc/btc-scanner cannot be made by",
        "sudo install -d",
        "logging.file",
    )


async def test_a_file_where_the_log_folder_should_be(ill: Patient) -> None:
    (ill.folder / "logs").write_text("")
    report = await ill.doctor()
    only(report, "log folder", "fail", "it is not a folder", "logging.file")


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """A file system of 2 MB there; skips where nobody may mount."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_disk_that_is_full(ill: Patient) -> None:
    with full_disk(ill.folder / "logs"):
        report = await ill.doctor()
        only(report, "log disk", "fail", "2 MB free", "free some space")


@pytest.mark.parametrize(("blocks", "files", "level"), [(50, 9, "fail"), (500, 9, "warn"),
                                                        (5000, 0, "fail")])  # fmt: skip
async def test_a_disk_that_tells_of_little_room(
    ill: Patient, monkeypatch: pytest.MonkeyPatch, blocks: int, files: int, level: str
) -> None:
    seen = os.statvfs_result((MB, MB, 10_000, blocks, blocks, 100, files, files, 0, 255))
    monkeypatch.setattr(ask_disk.os, "statvfs", lambda _folder: seen)
    report = await ill.doctor()
    only(report, "log disk", level, "free some space")


async def test_units_of_systemd_that_failed(ill: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    program = ill.folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        "list-unit-files) echo 'btc-scanner-ingest.service enabled enabled';;\n"
        "show) printf 'Id=btc-scanner-ingest.service\\nLoadState=loaded\\nActiveState=failed\\n"
        "SubState=failed\\nResult=exit-code\\nUnitFileState=enabled\\nNRestarts=5\\n\\n"
        "Id=btc-scanner-redis.service\\nLoadState=loaded\\nActiveState=active\\n"
        "SubState=running\\nResult=success\\nUnitFileState=enabled\\nNRestarts=0\\n';;\n"
        "esac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(ask_units, "_BOOTED", ill.folder)
    report = await ill.doctor()
    only(report, "systemd", "fail", "btc-scanner-ingest.service failed (exit-code)",
         "journalctl -u btc-scanner-ingest.service")  # fmt: skip
    says(report, "systemd", "ok", "active: btc-scanner-redis.service")


async def test_services_that_do_not_run_or_are_of_another_version(ill: Patient) -> None:
    await ill.redis.delete(keys.health("detector", "1"))
    await ill.beat("ingest", version="0.0.9")
    report = await ill.doctor()
    says(report, "services", "warn", "not running: detector", "./btc-scanner up")
    says(report, "ingest", "warn", f"version 0.0.9, installed is {VERSION}", "restart")
    assert report.code == 0


async def test_a_channel_that_is_broken(ill: Patient) -> None:
    access = RedisAccess(ill.sections["redis"]["url"], name="notifier")
    events = EventsWriter(access, "notifier", "1", Streams())
    await Gate(access, events, "telegram", probe_s=60).break_(
        "Telegram says Unauthorized: check telegram.bot_token"
    )
    await access.close()
    report = await ill.doctor()
    only(report, "telegram sent", "fail", "sends nothing by telegram: Telegram says Unauthorized",
         "check telegram.bot_token")  # fmt: skip
    await ill.redis.delete(keys.gate("telegram"))  # it is probed just now; the trouble stands
    report = await ill.doctor()
    only(report, "telegram sent", "fail", "sends nothing by telegram", "notifier's log")


async def test_dead_letters(ill: Patient) -> None:
    await ill.redis.xadd(keys.dead("telegram"), {"sentence": "gone"})
    report = await ill.doctor()
    only(report, "telegram dead", "warn", "1 alert(s) could not be delivered", "dead list telegram")


async def test_a_trouble_that_stands(ill: Patient) -> None:
    blind = Trouble("blind", 1_762_094_100_000)
    await ill.redis.hset(keys.TROUBLES, "feed:BTCUSDT:1m", blind.text)
    report = await ill.doctor()
    only(report, "trouble", "fail", "feed BTCUSDT:1m BLIND since 2025-11-02", "events")
