"""Redis and Valkey as a store: labels that come within days, for many hosts; needs ``modelmon[redis]``.

``server`` has the connections and what failures mean, ``scripts`` and ``writes`` what runs inside the server, ``blobs``
how lists travel, ``opening`` the head of a namespace, and ``database`` the Protocol that the store is built on.
All that is kept is in the server's memory: about 120 bytes per prediction that awaits its label.
"""

from __future__ import annotations

from modelmon.stores.keeping import DatabaseStore
from modelmon.stores.redis.database import RedisDatabase

__all__ = ["RedisDatabase", "RedisStore"]


class RedisStore(DatabaseStore):
    """Keep predictions and labels in a Redis 7 or Valkey server, for as many processes and hosts as can reach it.

    What was confirmed survives what the server's own settings let it survive: run it with ``appendonly yes``
    (``appendfsync always`` where not even a loss of power may take the last second), and with ``maxmemory-policy
    noeviction``; no key has an expiry.

    Args:
        url: ``redis://user:password@host:6379/0``, ``rediss://`` for TLS, or ``unix://``, with any option of redis-py.
        namespace: begins the names of all keys, which share one slot.
        timeout: the most seconds to wait for a connection, and for an answer.

    Raises:
        ConfigurationError: when any of these cannot work; no message shows the URL.
    """

    def __init__(self, url: str, *, namespace: str = "modelmon", timeout: float = 1.0) -> None:
        """Check the settings; the first use connects."""
        super().__init__(RedisDatabase(url, namespace=namespace, timeout=timeout))
