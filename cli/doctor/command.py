"""``doctor`` as a command: which areas there are, and what is printed."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from cli.doctor.checks import Check, crash, run_all
from cli.doctor.report import Finding, document, exit_code, text
from shared import VERSION

if TYPE_CHECKING:
    from cli.doctor.installation import Installation

# In the order in which they are shown: what others depend on comes first.
_ALONE = {"python": "ask_packages"}
_AREAS = {
    "configuration": "ask_configuration",
    "REST": "ask_rest",
    "WebSocket": "ask_websocket",
    "Redis": "ask_redis",
    "email": "ask_mail",
    "Telegram": "ask_telegram",
    "disk": "ask_disk",
    "systemd": "ask_units",
    "services": "ask_services",
}


# As the log has it.
_MASK = "********"


def run(config: Path | None, as_json: bool) -> int:
    """Print what is wrong; 0 if nothing is, 1 if something is, 2 for a wrong configuration."""
    findings, code = asyncio.run(diagnose(config))
    if as_json:
        print(json.dumps(document(findings, code, VERSION), indent=2))
    else:
        colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print("\n".join(text(findings, colour=colour)))
    return code


async def diagnose(config: Path | None) -> tuple[list[Finding], int]:
    """All findings, free of secrets, and the exit code."""
    checks = [Check(name, partial(_ask_alone, module)) for name, module in _ALONE.items()]
    usable, failures = True, list[Finding]()
    clean: Callable[[Finding], Finding] = _as_it_is
    try:
        found = import_module("cli.doctor.installation").installation(config)
    except Exception as error:  # noqa: BLE001 - told as a finding
        failures.append(crash("configuration", error))
    else:
        usable, clean = not found.examined.faults, partial(_cleaned, found.clean)
        checks += [Check(name, partial(_ask, module, found)) for name, module in _AREAS.items()]
    findings = [clean(each) for each in (*await run_all(checks), *failures)]
    return findings, exit_code(findings, usable=usable)


async def _ask(module: str, found: "Installation") -> AsyncIterator[Finding]:
    async for finding in import_module(f"cli.doctor.{module}").ask(found):
        yield finding


async def _ask_alone(module: str) -> AsyncIterator[Finding]:
    async for finding in import_module(f"cli.doctor.{module}").ask():
        yield finding


def _cleaned(clean: Callable[[str], str], finding: Finding) -> Finding:
    # What only shows the form of a URL looks like one with a password.
    remedy = clean(finding.remedy).replace(f"USER:{_MASK}@HOST", "USER:PASSWORD@HOST")
    return replace(finding, what=clean(finding.what), remedy=remedy)


def _as_it_is(finding: Finding) -> Finding:
    return finding
