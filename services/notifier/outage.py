"""Whether a peer answers at all. Pure: the clock is an argument."""

# One failure may be about one alert, or chance; so many in a row are about the peer.
_FAILURES = 3


class Outage:
    """Notices that a peer that failed for everybody works again.

    Attributes:
        over_s: When it did so last, None if it never failed.
    """

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self.over_s: float | None = None
        self._failures = 0

    @property
    def stands(self) -> bool:
        """Whether the peer fails for everybody."""
        return self._failures >= _FAILURES

    def failed(self) -> None:
        """Note a failure."""
        self._failures += 1

    def worked(self, now_s: float, *, was_broken: bool = False) -> None:
        """Note a success, by a channel that ``was_broken`` until now."""
        if self.stands or was_broken:
            self.over_s = now_s
        self._failures = 0
