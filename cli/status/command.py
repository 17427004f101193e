"""``status`` as a command: whatever Redis does, the answer is there within some seconds."""

import asyncio
import json
import os
import sys

from cli import EXIT_FAILURE, clock
from cli.asking import RedisUnusable, answered
from cli.status.document import document, unreachable_document
from cli.status.gather import gather
from cli.status.screen import headline, text
from cli.status.verdict import Problem, Verdict, judge
from shared.redis_remedies import shown_url
from shared.settings import Settings


def run(settings: Settings, as_json: bool) -> int:
    """Print how everything is; 0 only if nothing is wrong."""
    try:
        facts = asyncio.run(answered(settings, lambda client: gather(client, settings)))
    except RedisUnusable as error:
        verdict = Verdict((Problem(error.what, error.advice),))
        at_ms, url = clock.now_ms(), shown_url(settings.redis.effective_url)
        found = unreachable_document(at_ms, settings.exchange.symbol, url, verdict)
        print(json.dumps(found, indent=2) if as_json else _coloured(list(headline(verdict))))
        return EXIT_FAILURE
    verdict = judge(facts)
    if as_json:
        print(json.dumps(document(facts, verdict), indent=2))
    else:
        print(_coloured(text(facts, verdict).split("\n"), healthy=verdict.healthy))
    return 0 if verdict.healthy else EXIT_FAILURE


def _coloured(lines: list[str], *, healthy: bool = False) -> str:
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        lines[0] = f"\x1b[1;{32 if healthy else 31}m{lines[0]}\x1b[0m"
    return "\n".join(lines)
