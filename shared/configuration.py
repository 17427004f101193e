"""The configuration as it is found: from file, secret files and environment to ``Settings``.

The environment wins over secret files, and these over the configuration file. Every fault of all of
them is collected, so that one start shows them all.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from shared.config_draft import Draft
from shared.config_errors import ConfigError, Fault
from shared.config_keys import SECTIONS, secrets_in
from shared.config_place import CONFIG_VARIABLE, config_place, named_config
from shared.config_text import read_json
from shared.file_access import is_open_to_others
from shared.settings import Settings

__all__ = ["ConfigError", "Examined", "examine", "find_config", "holds_secret", "load_settings"]


def find_config(
    config: Path | None = None, environ: Mapping[str, str] | None = None
) -> Path | None:
    """The file to load: ``config``, ``$BTC_SCANNER_CONFIG``, or the first that exists; else None.

    Raises: ConfigError, if a file that was named is not there.
    """
    environ = os.environ if environ is None else environ
    path = named_config(config, environ)
    if path is None:
        return config_place(None, environ)
    if not os.path.lexists(path):
        by = "--config" if config else f"the environment variable {CONFIG_VARIABLE}"
        fault = Fault(
            "",
            f"the file named by {by} does not exist",
            f"copy config.example.json to {path}, or correct the name",
        )
        raise ConfigError([fault], str(path))
    return path


def load_settings(
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    channels: bool = True,
) -> Settings:
    """The settings from file, secret files and environment, the later winning.

    Without ``channels`` the sections of those are left out: whoever delivers nothing needs none of
    their secrets, and may not have them.

    Raises: ConfigError, with every fault of all sources.
    """
    environ = os.environ if environ is None else environ
    path = find_config(config, environ)
    source = str(path) if path else "no configuration file (defaults and environment)"
    draft = Draft()
    if path:
        draft.values, draft.faults = read_json(path)
        if draft.unreadable:
            raise ConfigError(draft.faults, source)
        if holds_secret(draft.values) and is_open_to_others(path):
            draft.faults.append(_too_open(path))
    draft.add_secrets(environ)
    draft.add_variables(environ)
    draft.add_own_login(environ)
    draft.drop_half_sections()
    if not channels:
        draft.drop_channels()
    settings = draft.judge()
    if settings is None or draft.faults:
        raise ConfigError(draft.faults, source)
    return settings


def _too_open(path: Path) -> Fault:
    what = "the file holds a password or token, and every user of this machine can read it"
    return Fault("", what, f"type: chmod 600 {shlex.quote(str(path))}")


def holds_secret(values: Mapping[str, Any]) -> bool:
    """Whether a configuration names a password or a token, other than those of the example."""
    return any(secrets_in(values))


@dataclass(frozen=True, slots=True)
class Examined:
    """A configuration as far as it can be used, for whoever tells what is wrong with it.

    Attributes:
        settings: With the defaults in place of what has a fault.
        readable: Whether there is either no file, or one whose content could be judged.
        in_file: The secrets that stand in the file itself, as ``section.key``.
        origins: Where each value came from that is not from the file, by ``section.key``.
    """

    path: Path | None
    settings: Settings
    faults: tuple[Fault, ...] = ()
    readable: bool = True
    in_file: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)


def examine(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Examined:
    """What ``load_settings`` would load, or everything that keeps it from that; never raises."""
    environ = os.environ if environ is None else environ
    path, draft, faults, readable = None, Draft(), tuple[Fault, ...](), False
    try:
        path = find_config(config, environ)
        readable = True
        load_settings(path, environ)
    except ConfigError as error:
        faults = error.faults
    if path:
        draft.values, found = read_json(path)
        readable = all(fault.path for fault in found)
    in_file = tuple(secrets_in(draft.values))
    draft.add_secrets(environ)
    draft.add_variables(environ)
    draft.add_own_login(environ)
    draft.drop_half_sections()
    models = {name: draft.judge_section(name, section) for name, section in SECTIONS.items()}
    settings = Settings.model_construct(**cast("dict[str, Any]", models))
    return Examined(path, settings, faults, readable, in_file, draft.origins)
