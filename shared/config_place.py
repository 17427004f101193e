"""Where the configuration file is; imports next to nothing."""

import os
from collections.abc import Mapping
from pathlib import Path

CONFIG_VARIABLE = "BTC_SCANNER_CONFIG"
LOCAL_CONFIG = Path("config.json")
SYSTEM_CONFIG = Path("/etc/btc-scanner/config.json")


def named_config(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file that is named by ``--config`` or the environment, whether it is there or not."""
    named = environ.get(CONFIG_VARIABLE, "")
    path = config or (Path(named) if named else None)
    return None if path is None else path.expanduser()


def config_place(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file that is named, or else the first that is there; None if there is none."""
    return named_config(config, environ) or next(
        (place for place in (LOCAL_CONFIG, SYSTEM_CONFIG) if os.path.lexists(place)), None
    )
