"""The configuration as it is found: from file, secret files and environment to ``Settings``.

The environment wins over secret files, and these over the configuration file. Every fault of all of
them is collected, so that one start shows them all.
"""

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from pydantic import SecretStr, ValidationError

from shared import config_errors as errors
from shared.config_errors import ConfigError, Fault
from shared.config_place import CONFIG_VARIABLE, config_place, named_config
from shared.file_access import is_open_to_others
from shared.own_redis import own_login
from shared.settings import Clash, Section, Settings, Smtp, clashes

__all__ = ["ConfigError", "Examined", "examine", "find_config", "load_settings"]

PREFIX = "BTC_SCANNER__"
DOCKER_SECRETS = Path("/run/secrets")
# Each is the name of an environment variable, and in small letters that of a secret file.
SECRET_NAMES = MappingProxyType(
    {
        "REDIS_PASSWORD": ("redis", "password"),
        "SMTP_PASSWORD": ("smtp", "password"),
        "TELEGRAM_BOT_TOKEN": ("telegram", "bot_token"),
        "TELEGRAM_CHAT_ID": ("telegram", "chat_id"),
    }
)
# How the secrets of config.example.json begin.
_PLACEHOLDER = "your-"
# A configuration is a page; whatever is larger is another file by mistake.
MAX_FILE_BYTES = 1_000_000


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
    draft = _Draft()
    if path:
        draft.values, draft.faults = _read_json(path)
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
    return any(_secrets_in(values))


def _read_json(path: Path) -> tuple[dict[str, Any], list[Fault]]:
    """The object in the file; faults with an empty path mean that there is none to use."""
    text = _read_text(path)
    if isinstance(text, Fault):
        return {}, [text]
    if not text.strip():
        return {}, [Fault("", "the file is empty", "write at least {}")]
    faults: list[Fault] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            name = errors.shown_key(key)
            faults.append(Fault(name, "stands twice in the same object", "remove one of them"))
        return dict(pairs)

    try:
        values = json.loads(text, object_pairs_hook=unique, parse_int=_whole)
    except json.JSONDecodeError as error:
        return {}, [errors.json_fault(error)]
    except RecursionError:
        return {}, [Fault("", "the file is nested too deeply", "sections hold keys, nothing more")]
    if not isinstance(values, dict):
        what = f"the file holds {errors.kind(values)}, not an object"
        return {}, [Fault("", what, 'write {"exchange": {…}, …}')]
    return values, faults


def _read_text(path: Path) -> str | Fault:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return Fault("", "the file is larger than 1 MB", "is it a configuration?")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return Fault("", f"the file is not UTF-8 (byte {error.start})", "save it as UTF-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable name"
        return Fault("", f"the file cannot be read: {reason}", "check its path and permissions")


def _whole(digits: str) -> int | float:
    # Python refuses to convert more than 4300 digits; as a float it is infinite, and refused by us.
    return int(digits) if len(digits) <= 20 else float(digits)


@dataclass(slots=True)
class _Draft:
    """Values on their way to Settings: what was found, where, and what is wrong with it."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def unreadable(self) -> bool:
        return any(not fault.path for fault in self.faults)

    def put(self, section: str, key: str, value: object, origin: str) -> None:
        if self.values.get(section) is None:
            self.values[section] = {}
        if isinstance(self.values[section], dict):
            self.values[section][key] = value
            self.origins[f"{section}.{key}"] = origin

    def add_secrets(self, environ: Mapping[str, str]) -> None:
        """The secrets, from files and then from their own variables."""
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        folders = [DOCKER_SECRETS, *([Path(credentials)] if credentials else [])]
        for variable, (section, key) in SECRET_NAMES.items():
            for folder in folders:
                self.add_secret_file(folder / variable.lower(), section, key)
            if text := environ.get(variable, "").strip():
                self.put(section, key, _decode(section, key, text), f"variable {variable}")

    def add_secret_file(self, path: Path, section: str, key: str) -> None:
        if not os.path.lexists(path):
            return
        text = _read_text(path)
        origin = f"secret file {path}"
        if isinstance(text, Fault):
            what = text.what.removeprefix("the file ")
            self.faults.append(Fault(f"{section}.{key}", what, text.remedy, origin=origin))
        elif text := text.strip():
            self.put(section, key, _decode(section, key, text), origin)

    def add_variables(self, environ: Mapping[str, str]) -> None:
        """Any key by ``BTC_SCANNER__SECTION__KEY``."""
        for variable in sorted(environ):
            if not variable.upper().startswith(PREFIX):
                continue
            place = _VARIABLES.get(variable.upper())
            if place is None:
                near = get_close_matches(variable.upper(), _VARIABLES, n=1, cutoff=0.75)
                self.faults.append(
                    Fault(
                        errors.shown_key(variable),
                        "this environment variable names no key",
                        f"unset it; the form is {PREFIX}SECTION__KEY",
                        near[0] if near else "",
                    )
                )
                continue
            text = environ[variable]
            if text or _shape(*place) == "text":
                self.put(*place, _decode(*place, text), f"variable {variable}")

    def add_own_login(self, environ: Mapping[str, str]) -> None:
        """The login at the installation's Redis, where that is the one to use."""
        try:
            login = own_login(self.values.get("redis"), environ)
        except (OSError, UnicodeDecodeError):
            remedy = "check its permissions, or install again"
            self.faults.append(Fault("redis.password", "its secret file cannot be read", remedy))
            return
        if login is not None:
            for key, text in zip(("url", "password"), login, strict=True):
                self.put("redis", key, text, "this installation's own")

    def drop_half_sections(self) -> None:
        """A password alone, from outside the file, is no wish for email."""
        smtp = self.values.get("smtp")
        if isinstance(smtp, dict) and set(smtp) == {"password"} and "smtp.password" in self.origins:
            self.values["smtp"] = None

    def drop_channels(self) -> None:
        """Where alerts go is the business of others."""
        for section in ("smtp", "telegram"):
            self.values.pop(section, None)
        self.faults = [
            fault for fault in self.faults if not fault.path.startswith(("smtp.", "telegram."))
        ]

    def judge(self) -> Settings | None:
        """The settings, or None with every fault noted."""
        models: dict[str, Section | None] = {}
        for name in self.values:
            if name not in _SECTIONS:
                self.faults.append(errors.unknown(name, "", _KEYS, kind="section"))
        for name, section in _SECTIONS.items():
            models[name] = self.judge_section(name, section)
        broken = {errors.key_of(fault.path) for fault in self.faults}
        whole = Settings.model_construct(**cast("dict[str, Any]", models))
        for clash in (*clashes(whole), *_missing_files(whole)):
            sections = {path.partition(".")[0] for path in clash.paths}
            if broken.isdisjoint({*clash.paths, *sections}):
                found = (self.origins.get(path) for path in clash.paths)
                origin = " and ".join(dict.fromkeys(filter(None, found)))
                fault = Fault(clash.paths[0], clash.what, clash.remedy, clash.near, origin)
                if fault not in self.faults:
                    self.faults.append(fault)
        return None if self.faults else Settings(**cast("dict[str, Any]", models))

    def judge_section(self, name: str, section: type[Section]) -> Section | None:
        """The section, with stand-ins for broken keys, so that the others are judged too."""
        values = self.values.get(name)
        if values is None:
            return None if name == "smtp" else section()
        if not isinstance(values, dict):
            what = f"is {errors.kind(values)}, not an object"
            self.faults.append(Fault(name, what, f'write "{name}": {{"key": value, …}}'))
            return None if name == "smtp" else section()
        try:
            return section.model_validate(values)
        except ValidationError as error:
            found = [
                errors.translate(name, section, values, item, _KEYS) for item in error.errors()
            ]
        for key in {errors.key_of(fault.path).partition(".")[2] for fault in found}:
            found += _repetitions(name, key, values.get(key), found)
        self.faults += [self.with_origin(fault) for fault in found]
        bad = {errors.key_of(fault.path).partition(".")[2] for fault in found}
        good = {key: value for key, value in values.items() if key not in bad}
        stand_ins = {
            key: info.examples[0]
            for key, info in section.model_fields.items()
            if info.is_required() and info.examples
        }
        known = {key: value for key, value in good.items() if key in section.model_fields}
        return section.model_validate({**stand_ins, **known})

    def with_origin(self, fault: Fault) -> Fault:
        origin = self.origins.get(errors.key_of(fault.path), "")
        return Fault(fault.path, fault.what, fault.remedy, fault.near, origin)


def _repetitions(section: str, key: str, values: object, found: Sequence[Fault]) -> Iterator[Fault]:
    """What ``_distinct`` would have said, had no single entry been wrong."""
    path = errors.join([section, key])
    entries = [text for text in values if isinstance(text, str)] if isinstance(values, list) else []
    if len(set(entries)) < len(entries) and all(fault.path != path for fault in found):
        yield Fault(path, "has the same entry twice", "remove one of them")


def _missing_files(settings: Settings) -> Iterator[Clash]:
    named = {"redis.ca_file": settings.redis.ca_file}
    if settings.smtp:
        named["smtp.ca_file"] = settings.smtp.ca_file
    for key, path in named.items():
        if path and not (path.is_file() and os.access(path, os.R_OK)):
            yield Clash((key,), "is not a file that can be read", "correct its path")


def _section_of(annotation: object) -> type[Section]:
    return Smtp if annotation == (Smtp | None) else cast("type[Section]", annotation)


_SECTIONS: dict[str, type[Section]] = {
    name: _section_of(info.annotation) for name, info in Settings.model_fields.items()
}
_KEYS = {name: tuple(section.model_fields) for name, section in _SECTIONS.items()}
_VARIABLES = {
    f"{PREFIX}{name}__{key}".upper(): (name, key) for name, keys in _KEYS.items() for key in keys
}


_TRUTHS = {"true": True, "yes": True, "on": True, "1": True}
_TRUTHS |= {"false": False, "no": False, "off": False, "0": False}


def _shape(section: str, key: str) -> str:
    """What an environment variable must hold: text, list, truth or json."""
    return errors.shape(_SECTIONS[section].model_fields[key])


def _decode(section: str, key: str, text: str) -> object:
    """The value that a variable's text stands for; text that fits nothing stays, and is refused."""
    shape = _shape(section, key)
    if shape == "text":
        return text
    if shape == "truth":
        return _TRUTHS.get(text.strip().lower(), text)
    if shape == "list" and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        return json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        return text


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
    path, draft, faults, readable = None, _Draft(), tuple[Fault, ...](), False
    try:
        path = find_config(config, environ)
        readable = True
        load_settings(path, environ)
    except ConfigError as error:
        faults = error.faults
    if path:
        draft.values, found = _read_json(path)
        readable = all(fault.path for fault in found)
    in_file = tuple(_secrets_in(draft.values))
    draft.add_secrets(environ)
    draft.add_variables(environ)
    draft.add_own_login(environ)
    draft.drop_half_sections()
    models = {name: draft.judge_section(name, section) for name, section in _SECTIONS.items()}
    settings = Settings.model_construct(**cast("dict[str, Any]", models))
    return Examined(path, settings, faults, readable, in_file, draft.origins)


def _secrets_in(values: Mapping[str, Any]) -> Iterator[str]:
    for name, section in _SECTIONS.items():
        given = values.get(name)
        for key, info in section.model_fields.items():
            text = given.get(key) if isinstance(given, dict) else None
            if info.annotation is SecretStr and isinstance(text, str) and _is_secret(text):
                yield f"{name}.{key}"


def _is_secret(text: str) -> bool:
    """Whether the value of a secret key says anything: a URL of Redis may hold no password."""
    if not text.startswith(("redis", "unix:")) or "://" not in text:
        return bool(text.strip()) and not text.strip().startswith(_PLACEHOLDER)
    login, at, _ = text.partition("@")
    return bool(at and ":" in login.partition("//")[2]) or "password=" in text
