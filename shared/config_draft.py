"""Values on their way to ``Settings``, and every fault of them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from shared import config_errors as errors
from shared.config_errors import Fault
from shared.config_keys import KEYS, PREFIX, SECRET_NAMES, SECTIONS, VARIABLES, decode, shape_of
from shared.config_text import read_text
from shared.file_access import is_readable_file
from shared.own_redis import own_login
from shared.settings import Clash, Section, Settings, clashes

DOCKER_SECRETS = Path("/run/secrets")


@dataclass(slots=True)
class Draft:
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
                self.put(section, key, decode(section, key, text), f"variable {variable}")

    def add_secret_file(self, path: Path, section: str, key: str) -> None:
        if not os.path.lexists(path):
            return
        text = read_text(path)
        origin = f"secret file {path}"
        if isinstance(text, Fault):
            what = text.what.removeprefix("the file ")
            self.faults.append(Fault(f"{section}.{key}", what, text.remedy, origin=origin))
        elif text := text.strip():
            self.put(section, key, decode(section, key, text), origin)

    def add_variables(self, environ: Mapping[str, str]) -> None:
        """Any key by ``BTC_SCANNER__SECTION__KEY``."""
        for variable in sorted(environ):
            if not variable.upper().startswith(PREFIX):
                self.note_misspelt(variable)
                continue
            place = VARIABLES.get(variable.upper())
            if place is None:
                near = get_close_matches(variable.upper(), VARIABLES, n=1, cutoff=0.75)
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
            if text or shape_of(*place) == "text":
                self.put(*place, decode(*place, text), f"variable {variable}")

    def note_misspelt(self, variable: str) -> None:
        """``BTC_SCANNER_EXCHANGE__SYMBOL`` lacks an underscore, and would do nothing."""
        name = variable.upper()
        meant = [
            right for right in VARIABLES if right.replace("__", "_") == name.replace("__", "_")
        ]
        if meant and name.startswith(PREFIX[:-1]):
            what = "this environment variable does nothing: two underscores stand between its parts"
            self.faults.append(Fault(errors.shown_key(variable), what, "", meant[0]))

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
            if name not in SECTIONS:
                self.faults.append(errors.unknown(name, "", KEYS, kind="section"))
        for name, section in SECTIONS.items():
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
            found = [errors.translate(name, section, values, item, KEYS) for item in error.errors()]
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
        if path and not is_readable_file(path):
            yield Clash((key,), "is not a file that can be read", "correct its path")
