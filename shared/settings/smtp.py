"""The section ``smtp``."""

from typing import Annotated

from pydantic import Field, SecretStr

from shared.settings.fields.numbers import Seconds
from shared.settings.fields.recipients import Addresses, Host, Sender
from shared.settings.fields.texts import File, Line, Secret
from shared.settings.section import Section


class Smtp(Section):
    """The mail server. Without this section no email is sent."""

    server: Host = Field(description="Host name of the mail server.", examples=["smtp.example.com"])
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(
        default=465, description="Port; 465 with use_ssl true, 587 with use_ssl false."
    )
    user: Line = Field(default="", description="Login name; empty = no login.")
    password: Secret = Field(
        default=SecretStr(""), description="Password of user; better in SMTP_PASSWORD."
    )
    from_email: Sender = Field(
        description="Address of the sender, with or without a name: Name <me@example.com>.",
        examples=["scanner@example.com"],
    )
    to_email: Addresses = Field(
        description="Address of the recipient, or a list of them.", examples=["me@example.com"]
    )
    use_ssl: bool = Field(
        default=True, description="true = TLS from the first byte, false = STARTTLS is required."
    )
    ca_file: File = Field(
        default=None,
        description="File with the certificate authorities to trust (PEM); null = the system's.",
    )
    timeout_seconds: Seconds = Field(
        default=20.0, description="Seconds that one delivery may take."
    )
