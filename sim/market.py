"""A seeded synthetic market: one-minute candles that trend, burst and rest like a real one.

Made for demonstrations and tests. Its turns come with more volume than real ones, so that the
scanner's rules fire several times a day; nothing learnt from it says anything about a real market.
Each day has its own seed, so a longer market begins with the same days as a shorter one.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.candles import MINUTE_MS, Candles

MINUTES_PER_DAY = 1440
TICK = 0.01
HOME_PRICE = 65_000.0

# Trades seen inside a minute; more of them only make the extremes smoother.
STEPS = 12

# Standard deviation of a minute's log return at ordinary times: about 2.3 % a day.
MINUTE_SIGMA = 0.0006

# Log volatility returns to its mean in about two hours, and moves by this much a minute.
VOLATILITY_MEMORY = 0.992
VOLATILITY_SHOCK = 0.055

# The tide runs for hours; waves run with it and, more weakly, against it. In shares of sigma a
# minute.
TIDE_MINUTES = 420
TIDE_PUSH = 0.05
WAVE_MINUTES = 22
WAVE_PUSH = 0.28

# Pull towards the home price per minute, so that a year does not end at zero.
HOMING = 1.5e-4

# Ordinary turnover in base units a minute, and how strongly it follows the size of the move.
TURNOVER = 12.0
MOVE_TO_VOLUME = 0.55

# Turnover of single minutes scatters by this much (log).
MURMUR = 0.5

# When the short mean price overtakes the long one, a crowd comes: volume rises by up to this factor
# at once and fades. Scalpers look at minutes, others at five times that.
CROWD = 4.0
SCALPERS = (9, 21, 3.0)
OTHERS = (45, 105, 9.0)


@dataclass(slots=True)
class _Crowd:
    """Those who watch two means over so many minutes, and how long they stay."""

    short: int
    long: int
    stays: float
    short_mean: float = math.log(HOME_PRICE)
    long_mean: float = math.log(HOME_PRICE)
    present: float = 0.0

    def look(self, log_price: float, eagerness: float) -> None:
        """Come or leave, one minute on."""
        was_above = self.short_mean > self.long_mean
        self.short_mean += (log_price - self.short_mean) * 2 / (self.short + 1)
        self.long_mean += (log_price - self.long_mean) * 2 / (self.long + 1)
        self.present -= self.present / self.stays
        if was_above != (self.short_mean > self.long_mean):
            self.present += CROWD * eagerness


@dataclass(slots=True)
class _State:
    """What one day hands to the next."""

    log_price: float
    log_volatility: float = 0.0
    tide: float = 1.0
    tide_left: int = 0
    wave: float = 0.0
    wave_left: int = 0
    crowds: tuple[_Crowd, ...] = field(default_factory=lambda: (_Crowd(*SCALPERS), _Crowd(*OTHERS)))


def generate(seed: int, days: int, start_ms: int) -> Candles:
    """``days`` * 1440 candles from ``start_ms``, the same for the same seed on every machine."""
    state = _State(math.log(HOME_PRICE))
    busy = np.roll(_busyness(), -(start_ms // MINUTE_MS % MINUTES_PER_DAY))
    made = [_day(np.random.PCG64([seed, day]), state, busy) for day in range(days)]
    opened, high, low, close, volume = np.concatenate(made, axis=1)
    times = start_ms + MINUTE_MS * np.arange(days * MINUTES_PER_DAY, dtype=np.int64)
    return Candles(times, opened, high, low, close, volume)


def _day(bits: np.random.PCG64, state: _State, busy: NDArray[np.float64]) -> NDArray[np.float64]:
    """One day as shape [5, 1440]: open, high, low, close, volume."""
    chance = np.random.Generator(bits)
    n = MINUTES_PER_DAY
    # Student's t with 5 degrees of freedom: single minutes that nobody expected.
    tail = np.sqrt(5 / chance.chisquare(5, n)) * math.sqrt(3 / 5)
    shocks = chance.standard_normal(n) * VOLATILITY_SHOCK
    steps = chance.standard_normal((n, STEPS)) / math.sqrt(STEPS)
    turns = chance.random((n, 3))
    eagerness = chance.random(n)
    murmur = np.exp(MURMUR * chance.standard_normal(n))
    gaps = np.where(chance.random(n) < 0.5, chance.standard_normal(n) * 0.02, 0.0)

    sigma, push = _weather(state, shocks, turns)
    sigma *= MINUTE_SIGMA * np.sqrt(busy) * tail
    gaps *= sigma
    moves = (steps + (push / STEPS)[:, None]) * sigma[:, None]
    moves[:, 0] += gaps
    before = state.log_price
    path, crowd = _journey(state, moves, eagerness)

    opened = _priced(np.concatenate(([before], path[:-1, -1])) + gaps)
    inside = _priced(path)
    close = inside[:, -1]
    size = np.abs(np.log(close / opened)) + 2 * inside.std(axis=1) / opened
    pull = (0.4 + size / MINUTE_SIGMA) ** MOVE_TO_VOLUME
    volume = TURNOVER * busy * murmur * pull * (1 + crowd)
    return np.stack(
        (
            opened,
            np.maximum(opened, inside.max(axis=1)),
            np.minimum(opened, inside.min(axis=1)),
            close,
            np.maximum(np.round(volume, 5), 0.00001),
        )
    )


def _weather(
    state: _State, shocks: NDArray[np.float64], turns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Volatility and push of each minute, shape [n]."""
    sigma, push = np.empty(len(shocks)), np.empty(len(shocks))
    for minute, shock in enumerate(shocks.tolist()):
        _advance(state, shock, turns[minute])
        sigma[minute] = math.exp(state.log_volatility)
        push[minute] = state.tide * TIDE_PUSH + state.wave
    return sigma, push


def _journey(
    state: _State, moves: NDArray[np.float64], eagerness: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log prices, shape [n, STEPS], and the crowd that each minute draws, shape [n]."""
    path, crowd = np.cumsum(moves, axis=1), np.empty(len(moves))
    home = math.log(HOME_PRICE)
    for minute, eager in enumerate(eagerness.tolist()):
        path[minute] += state.log_price + HOMING * (home - state.log_price)
        state.log_price = float(path[minute, -1])
        for watching in state.crowds:
            watching.look(state.log_price, eager)
        crowd[minute] = sum(watching.present for watching in state.crowds)
    return path, crowd


def _advance(state: _State, shock: float, turn: NDArray[np.float64]) -> None:
    """Move tide, wave and volatility on by one minute."""
    length, strength, flip = turn.tolist()
    state.log_volatility = VOLATILITY_MEMORY * state.log_volatility + shock
    state.tide_left -= 1
    state.wave_left -= 1
    if state.tide_left < 0:
        state.tide_left = _lasting(length, TIDE_MINUTES)
        state.tide = -state.tide if flip < 0.7 else state.tide
    if state.wave_left < 0:
        state.wave_left = _lasting(length, WAVE_MINUTES)
        state.wave = -math.copysign(WAVE_PUSH * (0.5 + strength), state.wave)


def _lasting(chance: float, mean: int) -> int:
    """Minutes of a tide or wave: at least a third of the mean, then memoryless."""
    return mean // 3 - int(math.log(1 - chance) * mean * 2 / 3)


def _busyness() -> NDArray[np.float64]:
    """Activity by minute of the day: quiet at night, loud in the US afternoon."""
    hour = np.arange(MINUTES_PER_DAY) / 60
    return (
        0.45 + 1.1 * np.exp(-(((hour - 15) / 3.5) ** 2)) + 0.35 * np.exp(-(((hour - 8) / 2) ** 2))
    )


def _priced(log_price: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prices on the tick."""
    rounded: NDArray[np.float64] = np.round(np.exp(log_price) / TICK) * TICK
    return np.round(rounded, 2)
