"""Everything that is written inside a Redis server: each script is one step that happens wholly or not at all.

Rules:

1. A script reads and checks first, and writes only when nothing can be refused any more.
2. A first line ``#!lua`` makes the server refuse a script before its first step when memory is full.
   The scripts that free memory say ``allow-oom``.
3. A transaction's id is kept in ``applied`` with its number.
   ``+id`` was applied, and answers as before when it comes again.
   ``-id`` is never applied: whoever sent it did not learn its outcome, and has begun again since.
"""

from __future__ import annotations

from typing import Final

from modelmon.stores.database import LONGEST_LEASE_S
from modelmon.stores.redis.scripts import LISTS, script

REMEMBERED: Final = 10_000
FORGOTTEN_PAGES: Final = 20_000
_WRITES: Final = "#!lua\n"
_FREES: Final = "#!lua flags=allow-oom\n"
# keys of the database that a new head puts aside: they mean nothing without the head that they were kept with
_DATA: Final = "documents reminders entries journal applied pages folds gone leases notes"

MAKE: Final = script(
    _WRITES,
    "head " + _DATA,
    """
local origin = redis.call('HGET', KEYS[1], 'origin')
if (origin or '') ~= ARGV[1] then return 0 end
if origin then
  redis.call('HSET', KEYS[1], 'origin', ARGV[2])
  return 1
end
local aside = 0
for i = 2, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then
    redis.call('RENAME', KEYS[i], KEYS[i] .. ':aside')
    aside = 1
  end
end
redis.call('HSET', KEYS[1], 'schema', ARGV[3], 'origin', ARGV[2], 'now', '0', 'sequence', 0, 'awaiting', 0,
  'documents', 0, 'rate', '0', 'settings', '', 'journal', 0, 'backlog', 0, 'folded', 0, 'last', '')
return 1 + aside
""",
)
"""Make the head, or give it another origin; ARGV: the origin there is (empty: none), the new one, the schema."""

FORGO: Final = script(
    _WRITES,
    "head applied",
    """
if not redis.call('ZSCORE', KEYS[2], '+' .. ARGV[1]) then
  redis.call('ZADD', KEYS[2], redis.call('HGET', KEYS[1], 'sequence') or 0, '-' .. ARGV[1])
end
""",
)
"""See to it that a transaction whose outcome is not known is never applied from now on; ARGV: its id."""

_APPLY: Final = """
local head, docs, reminders, entries, journal, applied = unpack(KEYS)
local id, origin, now, keys, before, sizes, bodies = unpack(ARGV, 1, 7)
local dues, due_sizes, due_bodies, gone_sizes, gone_bodies = unpack(ARGV, 8, 12)
local known, entry_sizes, entry_bodies, record, awaiting = unpack(ARGV, 13, 17)
local rate, held_rate, has_settings, settings, seen = unpack(ARGV, 18, 22)

local number = redis.call('ZSCORE', applied, '+' .. id)
if number then return tonumber(number) end
if redis.call('ZSCORE', applied, '-' .. id) then return 0 end
local found = redis.call('HMGET', head, 'origin', 'now', 'rate', 'sequence', 'last')
if found[1] ~= origin then return 0 end
if entry_sizes ~= '' and redis.call('LLEN', entries) ~= tonumber(known) then return 0 end
if rate ~= '' and tonumber(found[3]) ~= tonumber(held_rate) then return 0 end
local gone = {}
each(gone_sizes, gone_bodies, function(_, member) gone[#gone + 1] = member end)
for i = 1, #gone do
  if not redis.call('ZSCORE', reminders, gone[i]) then return 0 end
end
if keys ~= '' and (seen == '' or found[5] ~= seen) then
  local there, bodies_there = documents(docs, keys)
  if redis.sha1hex(there .. bodies_there) ~= before then return 0 end
end

number = tonumber(found[4]) + 1
redis.call('ZADD', applied, number, '+' .. id)
redis.call('ZREMRANGEBYRANK', applied, 0, -REMEMBERED - 1)
local sets, drops, more = {}, {}, 0
each(sizes, bodies, function(i, body)
  local name = string.sub(keys, 8 * i - 7, 8 * i)
  if body then
    sets[#sets + 1], sets[#sets + 2] = name, body
  else
    drops[#drops + 1] = name
  end
end)
for i = 1, #sets, 2 * CHUNK do
  more = more + redis.call('HSET', docs, unpack(sets, i, math.min(i + 2 * CHUNK - 1, #sets)))
end
for i = 1, #drops, CHUNK do
  more = more - redis.call('HDEL', docs, unpack(drops, i, math.min(i + CHUNK - 1, #drops)))
end
for i = 1, #gone do redis.call('ZREM', reminders, gone[i]) end
each(due_sizes, due_bodies, function(i, body)
  local due = struct.unpack('<d', dues, 8 * i - 7)
  redis.call('ZADD', reminders, string.format('%.17g', due), struct.pack('>I4I4', number, i) .. body)
end)
each(entry_sizes, entry_bodies, function(_, entry) redis.call('RPUSH', entries, entry) end)
if record ~= '' then
  redis.call('RPUSH', journal, string.sub(record, 2))
  redis.call('HINCRBY', head, 'journal', 1)
  redis.call('HINCRBY', head, 'backlog', #record - 1)
end
if tonumber(now) > tonumber(found[2]) then redis.call('HSET', head, 'now', now) end
if rate ~= '' then redis.call('HSET', head, 'rate', rate) end
if has_settings == '1' then redis.call('HSET', head, 'settings', settings) end
redis.call('HINCRBY', head, 'awaiting', awaiting)
redis.call('HINCRBY', head, 'documents', more)
redis.call('HSET', head, 'sequence', string.format('%.0f', number), 'last', id)
return number
""".replace("REMEMBERED", str(REMEMBERED))
_CHANGED: Final = "head documents reminders entries journal applied"
APPLY: Final = script(_WRITES, _CHANGED, LISTS, _APPLY)
"""Write a transaction and return its number, or 0 where something that was read has changed.

The last argument names the last transaction as of when the documents were read.
Its id is random, so where it still is the last one they are what they were, and need not be read and compared again.
"""
APPLY_SMALLER: Final = script(_FREES, _CHANGED, LISTS, _APPLY)
"""Do the same for a transaction that frees memory, also when memory is full."""

FOLD: Final = script(
    _FREES,
    "head journal pages folds gone",
    """
local head, journal, pages, folds, gone = unpack(KEYS)
local found = redis.call('HMGET', head, 'folded', 'folder', 'origin', 'journal', 'backlog')
if found[2] == ARGV[1] then return 1 end
local upto = tonumber(ARGV[4])
if found[1] ~= ARGV[3] or found[3] ~= ARGV[2] or upto > tonumber(found[4]) or upto < tonumber(found[1]) then
  return 0
end
for i = 5, #ARGV, 2 do
  local name, body = ARGV[i], ARGV[i + 1]
  if body == '' then
    redis.call('HDEL', pages, name)
    redis.call('ZREM', folds, name)
    redis.call('ZADD', gone, upto, name)
  else
    redis.call('HSET', pages, name, body)
    redis.call('ZREM', gone, name)
    redis.call('ZADD', folds, upto, name)
  end
end
redis.call('ZREMRANGEBYRANK', gone, 0, -FORGOTTEN - 1)
local count, bytes = upto - (tonumber(found[4]) - redis.call('LLEN', journal)), 0
if count > 0 then
  for _, entry in ipairs(redis.call('LRANGE', journal, 0, count - 1)) do bytes = bytes + #entry end
  redis.call('LTRIM', journal, count, -1)
end
redis.call('HSET', head, 'folded', ARGV[4], 'folder', ARGV[1], 'backlog', tonumber(found[5]) - bytes)
return 1
""".replace("FORGOTTEN", str(FORGOTTEN_PAGES)),
)
"""Write pages and drop the journal they contain; ARGV: an id, the origin, the fold there is, the new one, pages."""

LEASE: Final = script(
    _WRITES,
    "leases",
    """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1e6
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found then
  local till, holder = string.match(found, '^(%S+) (.*)$')
  local left = tonumber(till) - now
  if holder ~= ARGV[2] and left > 0 and left <= LONGEST then return 0 end
end
if tonumber(ARGV[3]) > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.6f', now + tonumber(ARGV[3])) .. ' ' .. ARGV[2])
end
return 1
""".replace("LONGEST", str(LONGEST_LEASE_S)),
)
"""Take or extend a lease, or with no seconds only tell who could; ARGV: its name, the holder, seconds."""

RELEASE: Final = script(
    _FREES,
    "leases",
    """
local found = redis.call('HGET', KEYS[1], ARGV[1])
if found and string.match(found, '^%S+ (.*)$') == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
""",
)
"""Give a lease back; ARGV: its name, the holder."""
