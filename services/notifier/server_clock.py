"""By how much the clock of Redis was set forward of late. Pure: both clocks are arguments.

Idle times of the pending list follow the wall clock of Redis's machine. When that is set forward,
an entry that is being sent looks as if its consumer were dead.
"""


class ServerClock:
    """Compares the clock of Redis with one that nobody sets."""

    def __init__(self, window_s: float) -> None:
        """Know of all steps of the last ``window_s`` seconds, as far as was looked before them."""
        self._window_s = window_s
        # By how much Redis's clock was ahead of ours at least, and until when that was known to be
        # so; only those that no later look undercuts, so the first is the least.
        self._least: list[tuple[float, float]] = []
        self._ahead_s = 0.0

    def saw(self, asked_s: float, server_s: float, answered_s: float) -> None:
        """Note what Redis's clock showed at some moment between two of ours."""
        # What was seen last held until somewhere before now.
        if self._least:
            self._least[-1] = (self._least[-1][0], answered_s)
        least, most = server_s - answered_s, server_s - asked_s
        while self._least and self._least[-1][0] >= least:
            self._least.pop()
        self._least.append((least, answered_s))
        while self._least[0][1] < answered_s - self._window_s:
            del self._least[0]
        self._ahead_s = most - self._least[0][0]

    @property
    def set_forward_s(self) -> float:
        """At most so much of an idle time did not pass; never negative.

        In ordinary operation it is what a question to Redis takes.
        """
        return self._ahead_s
