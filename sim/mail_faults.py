"""All that can go wrong between a sender of mail and a mail server, by name.

A fault strikes at one stage of the dialogue. What has no stage of its own concerns the whole
server: the certificate that it shows, or how it listens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sim.certificates import Flaw

Stage = Literal[
    "listener", "certificate", "greeting", "ehlo", "offer", "auth", "mail", "rcpt", "data", "body"
]
Does = Literal["reply", "drop", "reset", "silence"]

# A connection that is open already has these behind it.
_FIRST: Sequence[Stage] = ("greeting", "ehlo", "offer", "auth")
WHOLE: Sequence[Stage] = ("listener", "certificate")


@dataclass(frozen=True, slots=True)
class MailFault:
    """One way to fail.

    Attributes:
        at: where it strikes; "offer" is what the server says of itself after EHLO, "data" comes
            before the text and "body" after it.
        does: with what: a reply, the end of the connection, or silence.
        reply: its code and text; one with 421 ends the connection.
        accepts: the server keeps the mail although it does not say so.
        hides: the extension that is not offered.
        flaw: of the certificate.
        open: whether anybody listens; who does then speaks no TLS.
        only: the recipient whom it concerns, empty for all.
        passes: a sender who tries again later gets through.
        weight: how often it is drawn by chance, beside the others.
    """

    name: str
    at: Stage
    does: Does = "reply"
    reply: str = ""
    accepts: bool = False
    hides: str = ""
    flaw: Flaw = ""
    open: bool = True
    only: str = ""
    passes: bool = False
    weight: float = 1.0

    @property
    def before_mail(self) -> bool:
        """Only a new connection can meet it."""
        return self.at in _FIRST or self.at in WHOLE

    def concerns(self, recipients: Sequence[str]) -> bool:
        """Whether it is about one of them."""
        return not self.only or self.only in recipients


_RARE = 0.1  # what takes the whole time that a sender waits

_ALL = (
    MailFault("refused", "listener", open=False),
    MailFault("plain text", "listener"),
    MailFault("expired certificate", "certificate", flaw="expired"),
    MailFault("self-signed certificate", "certificate", flaw="self-signed"),
    MailFault("certificate of another", "certificate", flaw="wrong host"),
    MailFault("421 greeting", "greeting", reply="421 4.3.2 too busy", passes=True),
    MailFault("554 greeting", "greeting", reply="554 5.7.1 no service for you"),
    MailFault("garbage", "greeting", reply="<html>502 Bad Gateway</html>", passes=True),
    MailFault("drop at greeting", "greeting", "drop", passes=True),
    MailFault("reset", "greeting", "reset", passes=True),
    MailFault("silence", "greeting", "silence", passes=True, weight=_RARE),
    MailFault("550 to EHLO", "ehlo", reply="550 5.7.1 who are you"),
    MailFault("no STARTTLS", "offer", hides="STARTTLS"),
    MailFault("no AUTH", "offer", hides="AUTH"),
    MailFault("no SMTPUTF8", "offer", hides="SMTPUTF8"),
    MailFault("454 to AUTH", "auth", reply="454 4.7.0 cannot check that now", passes=True),
    MailFault("432 to AUTH", "auth", reply="432 4.7.12 password transition", passes=True),
    MailFault("535 to AUTH", "auth", reply="535 5.7.8 authentication credentials invalid"),
    MailFault("534 to AUTH", "auth", reply="534 5.7.9 too weak"),
    MailFault("421 to MAIL", "mail", reply="421 4.3.2 shutting down", passes=True),
    MailFault("451 to MAIL", "mail", reply="451 4.3.0 not now", passes=True),
    MailFault("530 to MAIL", "mail", reply="530 5.7.0 authentication required"),
    MailFault("538 to MAIL", "mail", reply="538 5.7.11 encryption required"),
    MailFault("550 to MAIL", "mail", reply="550 5.1.8 sender address rejected"),
    MailFault("drop at MAIL", "mail", "drop", passes=True),
    MailFault("450 to RCPT", "rcpt", reply="450 4.2.1 mailbox busy", passes=True),
    MailFault("451 to RCPT", "rcpt", reply="451 4.7.1 greylisted, come back", passes=True),
    MailFault("452 to RCPT", "rcpt", reply="452 4.2.2 mailbox full", passes=True),
    MailFault("552 to RCPT", "rcpt", reply="552 5.5.3 too many recipients", passes=True),
    MailFault("550 to RCPT", "rcpt", reply="550 5.1.1 no such user"),
    MailFault("drop before the text", "data", "drop", passes=True),
    MailFault("reset before the text", "data", "reset", passes=True),
    MailFault("451 to DATA", "data", reply="451 4.3.0 not now", passes=True),
    MailFault("421 after the text", "body", reply="421 4.3.2 shutting down", passes=True),
    MailFault("451 after the text", "body", reply="451 4.3.0 disk full", passes=True),
    MailFault("552 after the text", "body", reply="552 5.3.4 message too big"),
    MailFault("554 after the text", "body", reply="554 5.7.1 looks like spam"),
    MailFault("drop unaccepted", "body", "drop", passes=True),
    MailFault("drop accepted", "body", "drop", accepts=True, passes=True),
    MailFault("reset accepted", "body", "reset", accepts=True, passes=True),
    MailFault("silence unaccepted", "body", "silence", passes=True, weight=_RARE),
    MailFault("silence accepted", "body", "silence", accepts=True, passes=True, weight=_RARE),
)  # fmt: skip

MAIL_FAULTS = {fault.name: fault for fault in _ALL}
PASSING_MAIL_FAULTS = tuple(fault for fault in _ALL if fault.passes)
