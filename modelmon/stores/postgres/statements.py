"""The statements, each set-based: columns travel as arrays, and one statement writes them all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from modelmon.stores.postgres.schema import lock_of, rendered

_PATIENCE_MS: Final = 30_000
_LATER_MS: Final = 400  # so that of two limits reached together the server names the lock
_HEAD: Final = (
    "SELECT origin, now, sequence, entries, awaiting, documents, rate, settings, due, journal, backlog, folded,"
    " extract(epoch FROM clock_timestamp())::float8, pg_postmaster_start_time()::text FROM {s}.head"
)
# Whatever the statistics say: each row by its index, and no compiling, which would take longer than running
_SETTINGS: Final = (
    "SELECT set_config('jit', 'off', true), set_config('enable_seqscan', 'off', true),"
    " set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),"
    " set_config('statement_timeout', {most}, true), set_config('lock_timeout', {wait}, true),"
    " set_config('idle_in_transaction_session_timeout', {idle}, true),"
    " set_config('synchronous_commit', {sync}, true); "
)
_LOCK: Final = "SELECT pg_advisory_xact_lock({lock}); "
_DURABLE: Final = (
    "CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END"
)


@dataclass(frozen=True, slots=True)
class Statements:
    """Hold the statements on the tables of one namespace."""

    fetch: bytes
    entries: bytes
    due: bytes
    scan: bytes
    add: bytes
    change: bytes
    remove: bytes
    remind: bytes
    reminded: bytes
    enter: bytes
    record: bytes
    head: bytes
    pages: bytes
    journal: bytes
    turn: bytes
    drop: bytes
    purge: bytes
    folded: bytes
    lease: bytes
    leased: bytes
    release: bytes
    note: bytes
    forget: bytes
    noted: bytes
    wrong: bytes


_TEXTS: Final[dict[str, str]] = {
    "fetch": "SELECT d.body FROM unnest(%b::bigint[]) WITH ORDINALITY AS k (key, place)"
    " LEFT JOIN {s}.documents d USING (key) ORDER BY place",
    "entries": "SELECT body FROM {s}.entries WHERE number >= %b::bigint ORDER BY number",
    "due": "SELECT number, due, body FROM {s}.reminders WHERE due < %b::float8 ORDER BY due, number LIMIT %b::bigint",
    "scan": "SELECT key, body FROM {s}.documents WHERE key >= %b::bigint ORDER BY key LIMIT %b::bigint",
    "add": "INSERT INTO {s}.documents (key, body) SELECT * FROM unnest(%b::bigint[], %b::bytea[])",
    "change": "UPDATE {s}.documents d SET body = n.body FROM unnest(%b::bigint[], %b::bytea[]) AS n (key, body)"
    " WHERE d.key = n.key",
    "remove": "DELETE FROM {s}.documents WHERE key = ANY(%b::bigint[])",
    "remind": "INSERT INTO {s}.reminders (due, body) SELECT * FROM unnest(%b::float8[], %b::bytea[])",
    "reminded": "DELETE FROM {s}.reminders WHERE number = ANY(%b::bigint[])",
    "enter": "INSERT INTO {s}.entries (number, body) SELECT * FROM unnest(%b::bigint[], %b::bytea[])",
    "record": "INSERT INTO {s}.journal (number, body) VALUES (%b::bigint, %b::bytea)",
    "head": "UPDATE {s}.head SET now = greatest(now, %b::float8), sequence = sequence + 1,"
    " entries = entries + %b::bigint, awaiting = awaiting + %b::bigint, documents = documents + %b::bigint,"
    " rate = coalesce(%b::float8, rate), settings = coalesce(%b::text, settings), due = CASE WHEN %b::boolean"
    " THEN coalesce((SELECT min(due) FROM {s}.reminders), 'Infinity') ELSE least(due, %b::float8) END,"
    " journal = journal + %b::bigint, backlog = backlog + %b::bigint",
    "pages": "SELECT name, body FROM {s}.pages WHERE fold > %b::bigint AND (%b::boolean OR length(body) > 0)",
    "journal": "SELECT body FROM {s}.journal WHERE number > %b::bigint ORDER BY number",
    "turn": "INSERT INTO {s}.pages (name, fold, written, body)"
    " SELECT name, %b::bigint, clock_timestamp(), body FROM unnest(%s::text[], %b::bytea[]) AS n (name, body)"
    " ON CONFLICT (name) DO UPDATE SET fold = excluded.fold, written = excluded.written, body = excluded.body",
    "drop": "WITH gone AS (DELETE FROM {s}.journal WHERE number <= %b::bigint RETURNING length(body) AS size)"
    " SELECT coalesce(sum(size), 0)::bigint FROM gone",
    "purge": "DELETE FROM {s}.pages WHERE length(body) = 0 AND written < clock_timestamp() - interval '30 days'",
    "folded": "UPDATE {s}.head SET folded = %b::bigint, backlog = backlog - %b::bigint",
    "lease": "INSERT INTO {s}.leases AS held (name, holder, ends)"
    " VALUES (%s, %s, clock_timestamp() + make_interval(secs => %b::float8)) ON CONFLICT (name) DO UPDATE"
    " SET holder = excluded.holder, ends = excluded.ends"
    " WHERE held.holder = excluded.holder OR held.ends <= clock_timestamp()"
    " OR held.ends > clock_timestamp() + make_interval(secs => %b::float8) RETURNING 1",
    "leased": "SELECT 1 FROM {s}.leases WHERE name = %s AND holder <> %s AND ends > clock_timestamp()"
    " AND ends <= clock_timestamp() + make_interval(secs => %b::float8)",
    "release": "DELETE FROM {s}.leases WHERE name = %s AND holder = %s",
    "note": "INSERT INTO {s}.notes (name, body) VALUES (%s, %b::bytea)"
    " ON CONFLICT (name) DO UPDATE SET body = excluded.body",
    "forget": "DELETE FROM {s}.notes WHERE name = %s",
    "noted": "SELECT body FROM {s}.notes WHERE name = %s",
    "wrong": "SELECT what, told, found FROM {s}.head, LATERAL (VALUES"
    " ('documents', documents, (SELECT count(*) FROM {s}.documents)),"
    " ('entries', entries, (SELECT count(*) FROM {s}.entries)),"
    " ('last entry', entries - 1, (SELECT coalesce(max(number), -1) FROM {s}.entries)),"
    " ('journal entries', journal - folded, (SELECT count(*) FROM {s}.journal)),"
    " ('last journal entry', journal, (SELECT coalesce(max(number), journal) FROM {s}.journal)),"
    " ('bytes of journal', backlog, (SELECT coalesce(sum(length(body)), 0) FROM {s}.journal))"
    ") AS compared (what, told, found) WHERE told <> found",
}


def statements(schema: str) -> Statements:
    """Return the statements on the tables of a namespace."""
    return Statements(**{field.name: rendered(_TEXTS[field.name], schema) for field in fields(Statements)})


def beginning(schema: str, *, lock: bool, durable: bool, timeout: float, head: bool = True) -> bytes:
    """Return what begins a transaction: its limits, the writers' lock or one view of all, and the head."""
    wait = max(1, round(timeout * 1000))
    start = f"BEGIN ISOLATION LEVEL {'REPEATABLE READ' if head and not lock else 'READ COMMITTED'}; "
    parts = {
        "{wait}": f"'{wait}'",
        "{most}": f"'{wait + _LATER_MS}'",
        "{idle}": f"'{max(_PATIENCE_MS, 10 * wait)}'",
        "{sync}": _DURABLE if durable else "'off'",
        "{lock}": str(lock_of(schema)),
    }
    text = start + _SETTINGS + (_LOCK if lock else "") + (_HEAD if head else "SELECT 1")
    for name, part in parts.items():
        text = text.replace(name, part)
    return rendered(text, schema)
