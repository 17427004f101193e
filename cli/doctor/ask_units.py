"""Asks systemd how the scanner's units are; silent on machines without systemd or such units."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from cli.doctor.installation import Installation
from cli.doctor.report import Finding
from cli.doctor.verdicts import machine as verdict

_BOOTED = Path("/run/systemd/system")  # what sd_booted(3) looks for
_FACTS = "Id,LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts"
_ANSWER_S = 5.0


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    program = shutil.which("systemctl")
    if program is None or not _BOOTED.is_dir():
        return
    listed = await _output(
        program, "list-unit-files", "--no-legend", "--plain", "--no-pager", "btc-scanner*"
    )
    names = {line.split()[0] for line in listed.splitlines() if line.strip()}
    # A template is no unit, its instances are; those that failed are loaded.
    wanted = [*sorted(name for name in names if "@." not in name), "btc-scanner*"]
    if names:
        text = await _output(program, "show", "--no-pager", f"--property={_FACTS}", *wanted)
        units = {unit.name: unit for unit in verdict.read_units(text)}
        for finding in verdict.units(list(units.values())):
            yield finding


async def _output(program: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_ANSWER_S):
            output, _ = await process.communicate()
    except BaseException:
        process.kill()
        raise
    return output.decode(errors="replace")
