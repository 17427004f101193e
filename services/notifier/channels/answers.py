"""Tables that say what a peer's failure means: a row for each, the first that fits decides. Pure.

Errors are told by the name of their class or of one of its bases, so that a table costs no import
of the library that raises them. Only what a row quotes is shown of an error: the words of a network
library can hold a URL with a token, those of a login what was sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.notifier.channels import Broken, Refused, TryAgain, Undelivered

_LONGEST_QUOTE = 160

TRANSIENT = range(400, 500)
PERMANENT = range(500, 600)


Then = Literal["again", "refused", "broken", "plain", "moved"]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of failure and what follows from it.

    Attributes:
        when: What the peer does, for the table in docs/delivery.md.
        error: Name of a class of exceptions.
        then: ``again``: it may work later; ``refused``: never, for this recipient; ``broken``: for
            nobody, before a person did something; ``plain``: at once, without markup; ``moved``: at
            once, in the chat that the peer names.
        means: For people, with the remedy; may hold ``{said}``, ``{code}``, ``{after}``, ``{chat}``
            of the error, and the facts of the channel.
        says: Words that the error must hold, in lower case.
        codes: What the reply code must be among, for errors that have one; empty: any.
        after_seconds: To wait where the peer does not say how long.
    """

    when: str
    error: str
    then: Then
    means: str
    says: str = ""
    codes: Sequence[int] = ()
    after_seconds: float | None = None

    def fits(self, error: BaseException) -> bool:
        """Whether this row is about ``error``."""
        return (
            self.error in {kind.__name__ for kind in type(error).__mro__}
            and self.says in str(error).lower()
            and (not self.codes or getattr(error, "code", None) in self.codes)
        )


def judged(
    table: Sequence[Row], channel: str, error: Exception, facts: Mapping[str, str] | None = None
) -> Undelivered:
    """The answer of the first row that fits ``error`` or what caused it."""
    if isinstance(error, Undelivered):
        return error
    row, told = found(table, error)
    code = getattr(told, "code", "")
    after: float | None = getattr(told, "retry_after", row.after_seconds)
    means = row.means.format(
        said=_said(told),
        code=code,
        after=after,
        chat=getattr(told, "migrate_to_chat_id", ""),
        **(facts or {}),
    )
    kind = " ".join(str(part) for part in (channel, row.error, row.says, code) if part)
    if row.then == "broken":
        return Broken(kind, means)
    if row.then == "again":
        return TryAgain(kind, means, after)
    return Refused(kind, means)  # what could be done at once was done by the channel


def found(table: Sequence[Row], error: BaseException) -> tuple[Row, BaseException]:
    """The first row that fits ``error`` or what caused it, and which of these it fits."""
    causes = list(_chain(error))[::-1]  # the innermost knows most
    return next((row, told) for row in table for told in causes if row.fits(told))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it, and the errors about single recipients it stands for."""
    yield error
    for inner in (error.__cause__, *getattr(error, "recipients", ())):
        if isinstance(inner, BaseException):
            yield from _chain(inner)


def _said(error: BaseException) -> str:
    for attribute in ("verify_message", "message", "strerror"):
        if text := getattr(error, attribute, None):
            line = " ".join(str(text).split())
            return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}…"
    return type(error).__name__
