"""Sections that are complete, and a secret that must never show."""

SMTP = {"server": "mail.example.org", "from_email": "a@example.org", "to_email": "b@example.org"}
TELEGRAM = {"enabled": True, "bot_token": "123:abc", "chat_id": "1"}
SECRET = "hunter2-hunter2-hunter2"
