"""The four processes. They know nothing of each other but the streams."""
