"""For each row of the tables of answers: the faults of the peer, or of us, that provoke it."""

# Rows by their ``when``; faults by their names in ``sim.mail_faults``.
EMAIL: dict[str, tuple[str, ...]] = {
    "its certificate is expired, self-signed or for another host": (
        "expired certificate",
        "self-signed certificate",
        "certificate of another",
    ),
    "cannot check the login now (4xx to AUTH)": ("454 to AUTH", "432 to AUTH"),
    "does not accept the login (535)": ("535 to AUTH", "534 to AUTH"),
    "wants a login, or encryption for it (530, 538)": ("530 to MAIL", "538 to MAIL"),
    "has too many recipients (552 to RCPT)": ("552 to RCPT",),
    "says not now (any other 4xx: greylisting, 421, 451, 452)": (
        "421 greeting",
        "421 to MAIL",
        "451 to MAIL",
        "450 to RCPT",
        "451 to RCPT",
        "451 to DATA",
        "421 after the text",
        "451 after the text",
    ),
    "refuses the sender (5xx to MAIL)": ("550 to MAIL",),
    "refuses the recipient (5xx to RCPT)": ("550 to RCPT",),
    "refuses this host (5xx as greeting)": ("554 greeting",),
    "refuses our greeting (5xx to EHLO)": ("550 to EHLO",),
    "refuses the mail (5xx after DATA: size, content)": (
        "552 after the text",
        "554 after the text",
    ),
    "says what is not SMTP": ("garbage",),
    "closes the connection (after the text it may have the mail)": (
        "drop at greeting",
        "drop before the text",
        "drop unaccepted",
        "drop accepted",
    ),
    "does not answer in time (after the text it may have the mail)": (
        "silence",
        "silence unaccepted",
        "silence accepted",
    ),
    "does not speak TLS from the first byte": ("plain text",),
    "refuses or resets the connection": ("refused",),
    "offers no login": ("no AUTH",),
}
STARTTLS: dict[str, tuple[str, ...]] = {
    "its certificate is expired, self-signed or for another host": ("self-signed certificate",),
    "does not offer STARTTLS (or somebody between hides it)": ("no STARTTLS",),
    "refuses or resets the connection": ("refused",),
}
# Wrong settings, and the right ones that end it.
EMAIL_BY_SETTINGS: dict[str, dict[str, object]] = {
    "has an unknown name": {"server": "mail.invalid"},
}
EMAIL_BY_NOBODY = {
    "cannot handle an address outside ASCII": "the settings admit no such address",
    "would get a mail that cannot be built": "the settings admit no such section",
    "fails in another way": "for what the library may say one day",
}

# Faults by their names in ``sim.bot_faults``.
TELEGRAM: dict[str, tuple[str, ...]] = {
    "429 with retry_after": ("flood",),
    "429 without retry_after": ("flood without parameters",),
    "400 with migrate_to_chat_id": ("moved",),
    "400 can't parse entities": ("entities",),
    "400 chat not found": ("chat not found",),
    "any other 400": ("too long",),
    "401: the token was revoked": ("401",),
    "404: the token or telegram.api_url is wrong": ("404",),
    "403: blocked, kicked, or never written to": ("403",),
    "409": ("409",),
    "413 as JSON": ("413",),
    "5xx as JSON": ("500", "500 accepted", "502"),
    "refuses the connection, or its name is unknown": ("refused",),
    "does not answer in time (it may have sent the message)": ("silence", "silence accepted"),
    "closes the connection (it may have sent the message)": ("drop", "drop accepted"),
    "any other code": ("421",),
    "HTML or anything else that is not JSON (a proxy: 502, 413)": (
        "502 HTML",
        "504 HTML",
        "413 HTML",
    ),
    "5xx as JSON without description": ("500 without description",),
    "resets the connection": ("reset", "reset accepted"),
    "fails in another way": ("no text",),
}
TELEGRAM_BY_SETTINGS: dict[str, dict[str, object]] = {
    "(no call: telegram.api_url is no address)": {"api_url": "http://1.2.3.4.5"},
    "its certificate is expired, self-signed or for another host": {"api_url": "https"},
}
TELEGRAM_BY_NOBODY = {
    "(no call: the token has a wrong form)": "the settings admit no such token",
}
