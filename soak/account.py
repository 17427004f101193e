"""What became of the signals, from the peers' own records. Pure."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

CHANNELS = ("email", "telegram")


@dataclass(frozen=True, slots=True)
class Accepted:
    """One message that a peer accepted.

    Attributes:
        number: of the signal, in the order of time.
        at_ns: wall time of the acceptance.
        fault: why the sender was not told; empty: it was.
        message_id: of a mail.
        late: whether it says that it is late.
    """

    channel: str
    recipient: str
    number: int
    at_ns: int
    door: int
    fault: str = ""
    message_id: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Repeats:
    """Messages that a recipient got once more.

    Attributes:
        untold: permitted: the sender was not told of any earlier acceptance.
        killed: permitted: some earlier acceptance was cut from its record by a kill, and the others
            were not told.
        stalled: permitted: some earlier acceptance fell into a standstill of this machine as long
            as senders wait for an answer, and the others have one of these excuses.
        forbidden: the rest: an earlier acceptance was told and recorded.
    """

    untold: int
    killed: int
    stalled: int
    forbidden: tuple[Accepted, ...]


def lost(
    wanted: int, recipients: Iterable[tuple[str, str]], accepted: Iterable[Accepted]
) -> list[tuple[str, str, int]]:
    """(channel, recipient, number) of all that somebody should have and has not."""
    found = {(each.channel, each.recipient, each.number) for each in accepted}
    everything = ((*who, number) for who in recipients for number in range(wanted))
    return [each for each in everything if each not in found]


def repeats(
    accepted: Iterable[Accepted],
    interrupted: Collection[Accepted],
    stalls: Sequence[tuple[int, int]] = (),
) -> Repeats:
    """Judge every acceptance after the first, for each recipient and signal.

    Args:
        accepted: By one channel.
        interrupted: Told, and not recorded before the sender was killed.
        stalls: From when to when this machine stood still, ns; an acceptance between these was
            perhaps told too late.
    """
    cut = frozenset(interrupted)
    untold, killed, stalled, forbidden = 0, 0, 0, []
    for copies in _copies(accepted).values():
        for position, copy in enumerate(copies[1:], 1):
            before = copies[:position]
            told = [each for each in before if not each.fault and each not in cut]
            if any(not _within(each.at_ns, stalls) for each in told):
                forbidden.append(copy)
            elif told:
                stalled += 1
            elif any(each in cut for each in before):
                killed += 1
            else:
                untold += 1
    return Repeats(untold, killed, stalled, tuple(forbidden))


def _within(at_ns: int, stalls: Sequence[tuple[int, int]]) -> bool:
    return any(since <= at_ns <= until for since, until in stalls)


def changed_ids(accepted: Iterable[Accepted]) -> int:
    """How many repeats of mails have another Message-ID than the first."""
    return sum(
        len({copy.message_id for copy in copies}) - 1
        for (channel, _, _), copies in _copies(accepted).items()
        if channel == "email"
    )


def _copies(accepted: Iterable[Accepted]) -> dict[tuple[str, str, int], list[Accepted]]:
    found: dict[tuple[str, str, int], list[Accepted]] = defaultdict(list)
    for each in sorted(accepted, key=lambda each: each.at_ns):
        found[each.channel, each.recipient, each.number].append(each)
    return found


@dataclass(frozen=True, slots=True)
class Order:
    """How the first attempts at one recipient follow the signals.

    Attributes:
        count: how many were compared.
        in_order: the most of them that follow one another as the signals do.
        farthest: places between where one came and where it belongs, at most.
    """

    count: int
    in_order: int
    farthest: int

    @property
    def share(self) -> float:
        """Of those in order."""
        return self.in_order / self.count if self.count else 1.0


def order(first_at_ns: dict[int, int], without: Collection[int]) -> Order:
    """Compare the times of the first attempts with the numbers of the signals.

    Args:
        first_at_ns: signal number → time.
        without: numbers to leave out: they were in the hands of a process that was killed.
    """
    left_out = frozenset(without)
    came = sorted((at, number) for number, at in first_at_ns.items() if number not in left_out)
    numbers = [number for _, number in came]
    tails: list[int] = []  # of the longest ascending row, by length
    for number in numbers:
        place = bisect_left(tails, number)
        tails[place : place + 1] = [number]
    places = {number: place for place, number in enumerate(sorted(numbers))}
    farthest = max((abs(places[n] - place) for place, n in enumerate(numbers)), default=0)
    return Order(len(numbers), len(tails), farthest)


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory of its own of one process at one time.

    Attributes:
        life: which process.
        age_s: since it was started.
        at_s: since the run began.
    """

    life: int
    age_s: float
    at_s: float
    bytes: int


def growth_of_lives(samples: Iterable[Sample], *, warm_s: float, least_s: float) -> list[float]:
    """Last quarter by first quarter, for each life long enough; the warm-up does not count."""
    lives: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.age_s >= warm_s:
            lives[sample.life].append(sample)
    return [
        _last_by_first([sample.bytes for sample in life])
        for life in lives.values()
        if life[-1].age_s - life[0].age_s >= least_s
    ]


def growth_of_run(samples: Iterable[Sample], *, warm_s: float) -> tuple[int, float]:
    """The same over the run: what each life that came so far took after its warm-up.

    Returns:
        The number of these lives, and the last quarter of them by the first.
    """
    warm: dict[int, int] = {}
    for sample in samples:
        if sample.age_s >= warm_s:
            warm.setdefault(sample.life, sample.bytes)
    return len(warm), _last_by_first([warm[life] for life in sorted(warm)])


def _last_by_first(values: Sequence[int]) -> float:
    quarter = max(1, len(values) // 4)
    return median(values[-quarter:]) / median(values[:quarter]) if values else 1.0


def counted(names: Iterable[str]) -> str:
    """``name 3, other 1``: the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in Counter(names).most_common())
