"""The head of a namespace: made once, examined at the first connection, checked on request."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from modelmon.errors import ConfigurationError, StoreError
from modelmon.notices import warn
from modelmon.stores.database import Head
from modelmon.stores.redis import writes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelmon.stores.redis.server import Server

SCHEMA: Final = 1
_RELEASE: Final = re.compile(rb"(?m)^redis_version:(\d+)")
_POLICY: Final = re.compile(rb"(?m)^maxmemory_policy:([\w-]+)")
_AOF: Final = re.compile(rb"(?m)^aof_enabled:(\d)")


class Found(NamedTuple):
    """Hold what a script read of the head, besides the head.

    Attributes:
        head: the head itself.
        clock: the server's time.
        last: the last transaction's id.
        folded: the last fold.
    """

    head: Head
    clock: float
    last: bytes
    folded: int


def read_head(found: Sequence[Any]) -> Found | None:
    """Return what a script found; None where nothing was ever written.

    Raises:
        ConfigurationError: when a newer release wrote it.
    """
    schema, origin, now, sequence, awaiting, documents, rate, settings, journal, backlog, folded, last = found[:12]
    entries, due, clock = found[12:15]
    if origin is None:
        return None
    if int(schema) > SCHEMA:
        msg = f"this namespace has schema {int(schema)}; this release knows up to {SCHEMA}: upgrade modelmon"
        raise ConfigurationError(msg)
    head = Head(
        origin=origin.decode(),
        now=float(now),
        sequence=int(sequence),
        entries=entries,
        awaiting=int(awaiting),
        documents=int(documents),
        rate=float(rate),
        settings=settings.decode(),
        due=float(due),
        journal=int(journal),
        backlog=int(backlog),
    )
    return Found(head, float(clock), last, int(folded))


def make_head(server: Server, replaced: str) -> None:
    """Make the head of a new namespace, or give it a new origin, unless another process has done so already."""
    if server.run(writes.MAKE, replaced, secrets.token_hex(16), SCHEMA) > 1:
        warn(
            "redis aside",
            "the head of this namespace in Redis was gone: what was left of it stands aside in keys that end in "
            "':aside', and a new store begins; does the server evict keys?",
        )


def examine(server: Server) -> None:
    """Say what about the server endangers labels, as far as it tells.

    Raises:
        ConfigurationError: when the server is too old.
    """
    try:
        info = server.call("EVAL", "return redis.call('INFO')", 0)
    except StoreError as error:
        if error.kind in {"down", "timeout"}:
            raise
        return
    release, policy, aof = (pattern.search(info) for pattern in (_RELEASE, _POLICY, _AOF))
    if release and int(release[1]) < 7:  # noqa: PLR2004  (scripts with flags came with Redis 7)
        msg = f"the Redis store needs Redis 7 or Valkey; this server is Redis {int(release[1])}"
        raise ConfigurationError(msg)
    if policy and policy[1].startswith(b"allkeys"):
        warn(
            "redis eviction",
            f"this Redis evicts any key when its memory is full (maxmemory-policy {policy[1].decode()}), the whole "
            "store included; set maxmemory-policy noeviction",
        )
    if aof and aof[1] == b"0":
        warn(
            "redis file",
            "this Redis has no append-only file (appendonly no): a restart loses labels that were acknowledged since "
            "its last snapshot",
        )


def check(server: Server, found: Found | None) -> list[str]:
    """Return where counts of the head and what is there differ."""
    if found is None:
        return ["head: missing"]
    wrong = []
    documents = server.call("HLEN", server.key("documents"))
    if documents != found.head.documents:
        wrong.append(f"documents: {documents} kept, {found.head.documents} counted")
    journal = server.call("LLEN", server.key("journal"))
    if journal != found.head.journal - found.folded:
        wrong.append(f"journal: {journal} entries kept, {found.head.journal - found.folded} counted")
    pages, folds = server.call("HLEN", server.key("pages")), server.call("ZCARD", server.key("folds"))
    if pages != folds:
        wrong.append(f"pages: {pages} kept, {folds} counted")
    return wrong
