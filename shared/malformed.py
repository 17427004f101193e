"""The error for data that will never be right, however often it is read."""


class Malformed(ValueError):
    """A frame, stream entry or file that does not fit its form; says which part and why."""
