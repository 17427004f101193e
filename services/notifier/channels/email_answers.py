"""What each failure of a mail server means. Pure.

Decided by the first digit of the reply (RFC 5321 §4.2.1): 4 is "not now", 5 is "not like this".
"""

from services.notifier.channels import Undelivered
from services.notifier.channels.answers import PERMANENT, TRANSIENT, Row, judged

_LOGIN = "check smtp.user and smtp.password (many providers want an app password)"

TABLE = (
    Row("its certificate is expired, self-signed or for another host", "SSLCertVerificationError",
        "broken",
        "the certificate of {server} is not trusted ({said}): check smtp.server, or name the"
        " authority in smtp.ca_file"),
    Row("cannot check the login now (4xx to AUTH)", "SMTPAuthenticationError", "again",
        "{server} cannot check the login now ({code})", codes=TRANSIENT),
    Row("does not accept the login (535)", "SMTPAuthenticationError", "broken",
        f"{{server}} does not accept the login ({{code}}): {_LOGIN}"),
    Row("wants a login, or encryption for it (530, 538)", "SMTPResponseException", "broken",
        f"{{server}} wants a login ({{code}}): {_LOGIN}", codes=(530, 538)),
    Row("has too many recipients (552 to RCPT)", "SMTPRecipientRefused", "again",
        "{server} has too many recipients ({code} {said})",
        codes=(552,)),  # RFC 5321 §4.5.3.1.10: an older spelling of 452
    Row("says not now (any other 4xx: greylisting, 421, 451, 452)", "SMTPResponseException",
        "again", "{server} says {code} {said}", codes=TRANSIENT),
    Row("refuses the sender (5xx to MAIL)", "SMTPSenderRefused", "broken",
        "{server} refuses the sender ({code} {said}): check smtp.from_email", codes=PERMANENT),
    Row("refuses the recipient (5xx to RCPT)", "SMTPRecipientRefused", "refused",
        "{server} refuses the recipient ({code} {said}): check smtp.to_email", codes=PERMANENT),
    Row("refuses this host (5xx as greeting)", "SMTPConnectResponseError", "broken",
        "{server} refuses this host ({code} {said}): ask its operator, or use another server",
        codes=PERMANENT),
    Row("refuses our greeting (5xx to EHLO)", "SMTPHeloError", "broken",
        "{server} refuses this host ({code} {said}): ask its operator, or use another server",
        codes=PERMANENT),
    Row("refuses the mail (5xx after DATA: size, content)", "SMTPResponseException", "refused",
        "{server} refuses the mail ({code} {said}): ask its operator", codes=PERMANENT),
    Row("says what is not SMTP", "SMTPResponseException", "again",
        "{server} says what is not SMTP ({code})"),
    Row("cannot handle an address outside ASCII", "SMTPNotSupported", "refused",
        "{server} cannot handle an address outside ASCII: check smtp.from_email and smtp.to_email"),
    Row("closes the connection (after the text it may have the mail)", "SMTPServerDisconnected",
        "again", "{server} closed the connection"),
    Row("does not answer in time (after the text it may have the mail)", "TimeoutError", "again",
        "{server} did not answer in time"),
    Row("does not speak TLS from the first byte", "SSLError", "broken",
        "{server} does not speak TLS from the first byte: set smtp.use_ssl false with the STARTTLS"
        " port (587), or use its TLS port (465)", says="wrong_version_number"),
    Row("has an unknown name", "gaierror", "again",
        "the name of {server} is not known: check smtp.server"),
    Row("refuses or resets the connection", "OSError", "again",
        "{server} cannot be reached ({said})"),
    # The library has no code for these two, only words.
    Row("does not offer STARTTLS (or somebody between hides it)", "SMTPException", "broken",
        "{server} does not offer STARTTLS, and nothing is sent in the clear: set smtp.use_ssl true"
        " with the TLS port (465), or use another server", says="starttls"),
    Row("offers no login", "SMTPException", "broken",
        "{server} offers no login: leave smtp.user and smtp.password empty, or use another port",
        says="auth"),
    Row("fails in another way", "SMTPException", "again", "{server} cannot be reached"),
    Row("would get a mail that cannot be built", "Exception", "refused",
        "the mail cannot be built for {server}: check the section smtp"),
)  # fmt: skip


def answer(error: Exception, server: str) -> Undelivered:
    """Judge what aiosmtplib, ssl or the network raised while mailing by ``server`` (host:port)."""
    return judged(TABLE, "email", error, {"server": server})
