"""``make fuzz``: everything that reads what strangers or people wrote, fed with spoilt input."""
