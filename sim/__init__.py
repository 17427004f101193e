"""The simulated outside: exchange, mailbox and Bot API, with faults on demand. Loopback only."""
