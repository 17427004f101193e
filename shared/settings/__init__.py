"""The settings: every key, its type, its unit, its default.

Each section is checked by itself and the relations between keys after that, so that one start shows
every fault. ``Settings()`` alone reads nothing: it is the defaults. ``shared.configuration`` reads.
"""

from shared.settings.exchange import Exchange
from shared.settings.notifier import Notifier
from shared.settings.operation import Health, Logging
from shared.settings.relations import clashes
from shared.settings.relations.clash import Clash
from shared.settings.root import Settings
from shared.settings.rules import Indicators, SignalRules
from shared.settings.section import Section
from shared.settings.smtp import Smtp
from shared.settings.storage import Redis, Streams
from shared.settings.telegram import Telegram

__all__ = [
    "Clash",
    "Exchange",
    "Health",
    "Indicators",
    "Logging",
    "Notifier",
    "Redis",
    "Section",
    "Settings",
    "SignalRules",
    "Smtp",
    "Streams",
    "Telegram",
    "clashes",
]
