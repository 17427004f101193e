"""Whose turn it is among the exchange's hosts, and what an address means. Pure."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit


class Turns:
    """Hosts in turn: one that works is stayed with, one that failed is left for the next."""

    def __init__(self, hosts: Sequence[str]) -> None:
        """Begin with the first of ``hosts``."""
        self._hosts, self._at = tuple(hosts), 0

    @property
    def host(self) -> str:
        """The one to be asked next."""
        return self._hosts[self._at]

    def failed(self, host: str) -> None:
        """Leave ``host``, unless somebody beside has seen to that already."""
        if host == self.host:
            self._at = (self._at + 1) % len(self._hosts)


def is_loopback(url: str) -> bool:
    """Whether ``url`` is on this machine, where the environment's proxies have no business."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
