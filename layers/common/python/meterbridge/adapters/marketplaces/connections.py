"""HTTP to a marketplace: every call is made once and no more."""

from __future__ import annotations

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

_CONNECT_SECONDS = 3
_READ_SECONDS = 20

NEVER_LEFT = (NewConnectionError, ConnectTimeoutError, ProxyError)
"""Failures after which surely nothing was sent."""


def connection_pool(connections: int, ca_certs: str | None = None) -> PoolManager:
    """HTTP that makes every call once and no more.

    Args:
        connections: how many calls may run at once.
        ca_certs: file of the authorities to trust; the system's without one.
    """
    return PoolManager(
        maxsize=connections,
        retries=False,
        timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        ca_certs=ca_certs,
    )
