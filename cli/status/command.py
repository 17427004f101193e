"""``status`` as a command: whatever Redis does, the answer is there within some seconds."""

import asyncio
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from redis.asyncio import Redis

from cli import EXIT_FAILURE, clock
from cli.asking import RedisUnusable, answered
from cli.here import knock_at, start_alone
from cli.status.document import document, unreachable_document
from cli.status.facts import SERVICES, Door, Facts, Here
from cli.status.gather import gather
from cli.status.screen import headline, text
from cli.status.verdict import Problem, Verdict, judge
from cli.write_probe import why_no_writes
from shared.redis_remedies import runs_by_up, shown_url
from shared.settings import Settings


def run(settings: Settings, config: Path | None, as_json: bool) -> int:
    """Print how everything is; 0 only if nothing is wrong."""
    try:
        facts = asyncio.run(_facts(settings, config))
    except RedisUnusable as error:
        verdict = Verdict((Problem(error.what, error.advice),))
        at_ms = clock.now_ms()
        url = "" if settings.redis.embedded else shown_url(settings.redis.effective_url)
        found = unreachable_document(at_ms, settings.exchange.symbol, url, verdict)
        print(json.dumps(found, indent=2) if as_json else _coloured(list(headline(verdict))))
        return EXIT_FAILURE
    verdict = judge(facts)
    if as_json:
        print(json.dumps(document(facts, verdict), indent=2))
    else:
        print(_coloured(text(facts, verdict).split("\n"), healthy=verdict.healthy))
    return 0 if verdict.healthy else EXIT_FAILURE


async def _facts(settings: Settings, config: Path | None) -> Facts:
    """What Redis knows, and what this host knows of the services that Redis does not."""
    url = settings.redis.effective_url

    async def ask(client: Redis) -> Facts:
        facts = await gather(client, settings)
        refuses = await why_no_writes(client, url)
        return replace(facts, redis=replace(facts.redis, refuses=refuses))

    facts = await answered(settings, ask)
    return replace(
        facts, here=Here(runs_by_up(url), start_alone(config), await _doors(facts, config))
    )


async def _doors(facts: Facts, config: Path | None) -> dict[str, Door]:
    absent = [name for name in SERVICES if not facts.present(name)]
    found = [await knock_at(name, config) for name in absent]
    return {
        name: Door(each.pid, each.answer)
        for name, each in zip(absent, found, strict=True)
        if each.pid is not None
    }


def _coloured(lines: list[str], *, healthy: bool = False) -> str:
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        lines[0] = f"\x1b[1;{32 if healthy else 31}m{lines[0]}\x1b[0m"
    return "\n".join(lines)
