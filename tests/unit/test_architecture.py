"""The rules of the layout, kept by a test instead of by memory."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = {"cli", "services", "shared"}

# These decide; adapters talk. They see no server, no clock, no log and no environment.
PURE = [
    "cli/doctor/report.py",
    "cli/doctor/verdicts/channels.py",
    "cli/doctor/verdicts/configuration.py",
    "cli/doctor/verdicts/exchange.py",
    "cli/doctor/verdicts/machine.py",
    "cli/doctor/verdicts/redis.py",
    "cli/doctor/verdicts/services.py",
    "cli/status/answers.py",
    "cli/status/document.py",
    "cli/status/facts.py",
    "cli/status/heartbeat.py",
    "cli/status/screen.py",
    "cli/status/server.py",
    "cli/status/verdict.py",
    "cli/words.py",
    "services/detector/rules.py",
    "services/indicators/engine.py",
    "services/indicators/maths.py",
    "services/indicators/snapshot.py",
    "services/ingest/clock.py",
    "services/ingest/frames.py",
    "services/ingest/holes.py",
    "services/ingest/hosts.py",
    "services/ingest/pages.py",
    "services/ingest/published.py",
    "services/ingest/reach.py",
    "services/ingest/sight.py",
    "services/ingest/skew.py",
    "services/ingest/unreached.py",
    "services/ingest/watch.py",
    "services/ingest/weight.py",
    "services/ingest/witness.py",
    "services/notifier/dead_letter.py",
    "services/notifier/decisions.py",
    "services/notifier/event_message.py",
    "services/notifier/limited.py",
    "services/notifier/letter.py",
    "services/notifier/markup.py",
    "services/notifier/message.py",
    "services/notifier/outage.py",
    "services/notifier/rate_limits.py",
    "services/notifier/results.py",
    "services/notifier/retirement.py",
    "services/notifier/server_clock.py",
    "services/notifier/quiet.py",
    "services/notifier/sources.py",
    "services/notifier/waits.py",
    "services/notifier/wording.py",
    "shared/answering.py",
    "shared/candle.py",
    "shared/decimals.py",
    "shared/entry_id.py",
    "shared/event.py",
    "shared/indicators_entry.py",
    "shared/keys.py",
    "shared/malformed.py",
    "shared/market.py",
    "shared/quality.py",
    "shared/redis_acl.py",
    "shared/redis_address.py",
    "shared/status_line.py",
    "shared/timeframe.py",
    "shared/times.py",
    "shared/trade_signal.py",
    "shared/turns.py",
    "shared/wellbeing.py",
]
IO = {
    "aiogram", "aiohttp", "aiosmtplib", "asyncio", "hiredis", "http", "logging", "os", "pathlib",
    "random", "redis", "secrets", "select", "smtplib", "socket", "ssl", "subprocess", "sys",
    "threading", "time", "urllib.request", "websockets",
}  # fmt: skip
# What is not in the standard library, and which pure module may use it: decoders only.
DECODERS = {
    "services/indicators/snapshot.py": {"msgpack"},
    "services/ingest/frames.py": {"msgspec"},
    "services/ingest/pages.py": {"msgspec"},
}
STANDARD = {
    "collections", "contextlib", "dataclasses", "datetime", "decimal", "difflib", "enum", "hashlib",
    "html",
    "ipaddress", "itertools", "math", "re", "statistics", "textwrap", "typing", "urllib",
}  # fmt: skip
SERVICES = sorted(path.parent.name for path in ROOT.glob("services/*/__init__.py"))


def imports(path: Path) -> set[str]:
    """Dotted names of all that the file at ``path`` imports, in functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{path}: relative import, name the package"
            prefix = f"{path.parent.relative_to(ROOT).as_posix().replace('/', '.')}."
            module = prefix + node.module if node.level else node.module
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def top(names: set[str]) -> set[str]:
    """The packages that these names belong to."""
    return {name.partition(".")[0] for name in names}


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", PURE)
def test_a_pure_module_does_no_io(path: str) -> None:
    names = imports(ROOT / path)
    assert not (names | top(names)) & IO
    outside = top(names) - STANDARD - OURS
    assert outside <= DECODERS.get(path, set())


@pytest.mark.parametrize("path", PURE)
def test_a_pure_module_imports_only_pure_modules_of_ours(path: str) -> None:
    ours = {name for name in imports(ROOT / path) if top({name}) <= OURS}
    modules = {f"{name.replace('.', '/')}.py" for name in ours}
    assert {module for module in modules if (ROOT / module).is_file()} <= set(PURE)


def test_there_are_four_services() -> None:
    assert SERVICES == ["detector", "indicators", "ingest", "notifier"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_imports_no_other_service_nor_what_operates_it(service: str) -> None:
    for path in files(f"services/{service}"):
        names = imports(path)
        foreign = {name for name in names if name.startswith("services.")}
        assert not {name for name in foreign if name.split(".")[1] != service}, path
        assert not top(names) & {"cli", "sim", "bench", "fuzz", "soak", "tests"}, path


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("shared", {"services", "cli", "sim", "bench", "fuzz", "soak", "tests"}),
        ("sim", {"services", "shared", "cli", "bench", "fuzz", "soak", "tests"}),
        ("cli", {"bench", "fuzz", "soak", "tests"}),
        ("fuzz", {"cli", "bench", "soak", "tests"}),
    ],
)
def test_a_folder_imports_nothing_that_stands_on_it(folder: str, forbidden: set[str]) -> None:
    found = files(folder)
    assert len(found) > 5
    for path in found:
        assert not top(imports(path)) & forbidden, path
