"""What the server's and the driver's errors mean for a store, in words without secrets."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import psycopg

from modelmon.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXACT: Final = {
    "55P03": "locked",  # lock_not_available
    "57014": "timeout",  # query_canceled, which is what statement_timeout does
    "25006": "readonly",  # read_only_sql_transaction: a standby, or an administrator's wish
    "25P03": "timeout",  # idle_in_transaction_session_timeout
    "42501": "permission",
    "42P01": "schema",  # the tables are gone
    "42703": "schema",
    "3F000": "schema",
    "40001": "conflict",
    "40P01": "conflict",
    "23505": "conflict",
    "53300": "down",  # too_many_connections
    "58P02": "down",  # crash_shutdown
}
_CLASSES: Final = {"08": "down", "57": "down", "28": "permission", "3D": "schema", "53": "full", "XX": "corrupt"}
# A refused connection comes without a code, in the server's language
_NO_DATABASE: Final = re.compile(r'database "[^"]*" does not exist')
_REFUSED: Final = ("authentication failed", "no password", "does not exist", "permission denied", "pg_hba.conf")
_LEAVE: Final = frozenset({"down", "timeout", "readonly", "schema", "corrupt", "permission"})


class Stalled(psycopg.OperationalError):
    """Report a server that did not answer in time."""


def explained(error: psycopg.Error, secrets: Iterable[str], shown: str) -> StoreError:
    """Return what to raise instead of a driver's error."""
    text = error.diag.message_primary or str(error)
    for secret in secrets:
        text = text.replace(secret, "***")
    kind = kind_of(error)
    return StoreError(f"{shown}: {' '.join(text.split()) or type(error).__name__} ({kind})", kind=kind)


def kind_of(error: psycopg.Error) -> str:
    """Return one word for a driver's error."""
    state = error.sqlstate
    if state is not None:
        return _EXACT.get(state) or _CLASSES.get(state[:2], "other")
    if isinstance(error, (Stalled, psycopg.errors.ConnectionTimeout)):
        return "timeout"
    if isinstance(error, psycopg.OperationalError):
        if _NO_DATABASE.search(str(error)):
            return "schema"
        return "permission" if any(words in str(error) for words in _REFUSED) else "down"
    return "other"


def connection_is_over(kind: str) -> bool:
    """Return whether the next transaction had better begin on a new connection, perhaps to another server."""
    return kind in _LEAVE


def secrets_of(parameters: dict[str, object]) -> list[str]:
    """Return what must never be shown: passwords, from wherever the driver takes them, and the user."""
    passwords = [parameters.get("password"), parameters.get("sslpassword"), os.environ.get("PGPASSWORD")]
    users = [parameters.get("user"), os.environ.get("PGUSER")]
    found = [str(password) for password in passwords if password] + [f'"{user}"' for user in users if user]
    return sorted(found, key=len, reverse=True)
