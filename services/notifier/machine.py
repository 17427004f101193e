"""What this machine is called beside others that may have the same host name.

Machines that were installed from one image are often all called ``debian`` or ``raspberrypi``; were
two of their notifiers to read under one name, each would take the other's alerts for its own.
"""

import hmac
from pathlib import Path

_ID = Path("/etc/machine-id")
_FOR = b"btc-scanner"


def machine_name(hostname: str, identity: Path = _ID) -> str:
    """The host name and six digits that stand for the machine's ID; alone where it has none.

    The ID itself is to be kept from others (machine-id(5)), so what is shown is a keyed hash.
    Containers mostly have none, and each has a host name of its own.
    """
    try:
        machine_id = identity.read_bytes().strip()
    except OSError:
        return hostname
    if not machine_id:
        return hostname
    return f"{hostname}-{hmac.new(machine_id, _FOR, 'sha256').hexdigest()[:6]}"
