"""``./btc-scanner status``: how everything is, on one screen."""
