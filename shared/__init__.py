"""What the four services share: nouns, stream contract, Redis access, runtime, logging, health."""

VERSION = "0.1.0"
