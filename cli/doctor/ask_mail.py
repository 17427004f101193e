"""Does all of a delivery by email but the mail: connection, TLS, login, sender, recipients."""

import asyncio
from collections.abc import AsyncIterator

from cli.doctor.installation import Installation
from cli.doctor.report import Finding, ok, warn
from cli.doctor.verdicts.channels import told
from services.notifier.channels import Undelivered
from services.notifier.channels.email_answers import answer
from services.notifier.channels.email_channel import EmailChannel
from services.notifier.message import Periods
from services.notifier.wording import Wording
from shared.settings import Smtp

_ALL_S = 8.0
_RETRIES = (
    "check smtp.server and smtp.port, the network and the firewall (many networks block port 25);"
    " the notifier itself tries again"
)
_GREYLISTED = "wait: the notifier tries again by itself"
# No mail is built.
_WORDING = Wording(Periods(ema_fast=9, ema_slow=21, ema_trend=50, atr=14, rsi=6), "BTC")


async def ask(found: Installation) -> AsyncIterator[Finding]:
    """See the module."""
    settings, reason = found.settings.smtp, found.unknown("smtp")
    if reason:
        yield warn("email", f"not checked: {reason}", "correct that first")
    elif settings is not None:
        async for finding in _rehearsed(settings):
            yield finding


async def _rehearsed(settings: Smtp) -> AsyncIterator[Finding]:
    server, channel = f"{settings.server}:{settings.port}", EmailChannel(settings, _WORDING)
    try:
        async with asyncio.timeout(_ALL_S):
            verdicts = await channel.rehearse()
    except TimeoutError as error:
        yield told("email", answer(error, server), _RETRIES)
        return
    except Undelivered as error:
        yield told("email", error, _RETRIES)
        return
    for recipient, refusal in zip(channel.recipients, verdicts, strict=True):
        if refusal is not None:
            yield told(f"email {recipient.address}", refusal, _GREYLISTED, passing=True)
    taken = [each.address for each, no in zip(channel.recipients, verdicts, strict=True) if not no]
    if taken:
        login = f", knows the login of {settings.user}" if settings.user else ""
        yield ok("email", f"{server} has TLS{login}, takes mail for {', '.join(taken)}")
