"""What each failure of a mail server means. Pure.

Decided by the first digit of the reply (RFC 5321 §4.2.1): 4 is "not now", 5 is "not like this".
"""

from services.notifier.channels import Undelivered
from services.notifier.channels.answers import PERMANENT, TRANSIENT, Row, judged

_LOGIN = "check smtp.user and smtp.password (many providers want an app password)"

TABLE = (
    Row(
        "SSLCertVerificationError", "refused",
        "the certificate of {server} is not trusted ({said}): check smtp.server, or name the"
        " authority in smtp.ca_file",
    ),
    Row("SMTPAuthenticationError", "again", "{server} cannot check the login now ({code})",
        codes=TRANSIENT),
    Row("SMTPAuthenticationError", "refused",
        f"{{server}} does not accept the login ({{code}}): {_LOGIN}"),
    Row("SMTPResponseException", "refused", f"{{server}} wants a login ({{code}}): {_LOGIN}",
        codes=(530, 538)),
    Row("SMTPRecipientRefused", "again", "{server} has too many recipients ({code} {said})",
        codes=(552,)),  # RFC 5321 §4.5.3.1.10: an older spelling of 452
    Row("SMTPResponseException", "again", "{server} says {code} {said}", codes=TRANSIENT),
    Row("SMTPSenderRefused", "refused",
        "{server} refuses the sender ({code} {said}): check smtp.from_email", codes=PERMANENT),
    Row("SMTPRecipientRefused", "refused",
        "{server} refuses the recipient ({code} {said}): check smtp.to_email", codes=PERMANENT),
    Row("SMTPConnectResponseError", "refused",
        "{server} refuses this host ({code} {said}): ask its operator, or use another server",
        codes=PERMANENT),
    Row("SMTPResponseException", "refused",
        "{server} refuses the mail ({code} {said}): ask its operator", codes=PERMANENT),
    Row("SMTPResponseException", "again", "{server} says what is not SMTP ({code})"),
    Row("SMTPNotSupported", "refused",
        "{server} cannot handle an address outside ASCII: check smtp.from_email and smtp.to_email"),
    Row("SMTPServerDisconnected", "again", "{server} closed the connection"),
    Row("TimeoutError", "again", "{server} did not answer in time"),
    Row("SSLError", "refused",
        "{server} does not speak TLS from the first byte: set smtp.use_ssl false with the STARTTLS"
        " port (587), or use its TLS port (465)", says="wrong_version_number"),
    Row("gaierror", "again", "the name of {server} is not known: check smtp.server"),
    Row("OSError", "again", "{server} cannot be reached ({said})"),
    # The library has no code for these two, only words.
    Row("SMTPException", "refused",
        "{server} does not offer STARTTLS, and nothing is sent in the clear: set smtp.use_ssl true"
        " with the TLS port (465), or use another server", says="starttls"),
    Row("SMTPException", "refused",
        "{server} offers no login: leave smtp.user and smtp.password empty, or use another port",
        says="auth"),
    Row("SMTPException", "again", "{server} cannot be reached"),
    Row("Exception", "refused", "the mail cannot be built for {server}: check the section smtp"),
)  # fmt: skip


def answer(error: Exception, server: str) -> Undelivered:
    """Judge what aiosmtplib, ssl or the network raised while mailing by ``server`` (host:port)."""
    return judged(TABLE, "email", error, {"server": server})
