"""Writes a synthetic market as a candle file."""

import argparse
from pathlib import Path

from sim.candles import write_candles
from sim.market import generate

# Any Monday would do.
START_MS = 1_735_516_800_000


def main() -> None:
    """Write the file; folders are made."""
    parser = argparse.ArgumentParser(prog="python -m sim.write_market", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--seed", type=int, default=4, help="same seed, same market")
    parser.add_argument("--days", type=int, default=7, help="its length")
    arguments = parser.parse_args()
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    write_candles(generate(arguments.seed, arguments.days, START_MS), arguments.file)


if __name__ == "__main__":
    main()
