"""Texts and lists of them: what may stand in a single value."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from shared.config_errors import Wrong


def many(value: object) -> object:
    """A list of JSON as a tuple."""
    return tuple(value) if isinstance(value, list) else value


def one_or_many(value: object) -> object:
    """A list, or a single value in place of a list of one, as a tuple."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuses what stands there twice."""
    if len(set(values)) < len(values):
        raise Wrong("has the same entry twice", "remove one of them")
    return values


def one_line(text: str) -> str:
    """Refuses what cannot stand in one line."""
    if re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", text):
        raise Wrong("contains a control character", "remove line breaks, tabs and broken letters")
    return text


def _secret_one_line(secret: SecretStr) -> SecretStr:
    one_line(secret.get_secret_value())
    return secret


def _path(value: object) -> object:
    return (Path(value) if value else None) if isinstance(value, str) else value


Line = Annotated[str, AfterValidator(one_line)]
Secret = Annotated[SecretStr, AfterValidator(_secret_one_line)]
File = Annotated[Path | None, BeforeValidator(_path)]
