"""Everything that is read inside a Redis server: each script is one step, of one moment; `writes` has the others.

Lists of byte strings travel as one string of lengths (int32, -1 for none) and one of all bodies; see `blobs`.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Final, NamedTuple

_READS: Final = "#!lua flags=no-writes\n"


class Script(NamedTuple):
    """Hold a script's text, its digest, and the names of the keys that it uses, in order."""

    text: str
    digest: str
    keys: tuple[str, ...]


def script(flags: str, keys: str, *parts: str) -> Script:
    """Return a script: the first line that says what it may do, the names of its keys, and parts of its text."""
    text = flags + "\n".join(parts)
    return Script(text, sha1(text.encode(), usedforsecurity=False).hexdigest(), tuple(keys.split()))


_HEAD: Final = """
local function read_head(head, entries, reminders)
  local found = redis.call('HMGET', head, 'schema', 'origin', 'now', 'sequence', 'awaiting', 'documents', 'rate',
    'settings', 'journal', 'backlog', 'folded', 'last')
  local soonest = redis.call('ZRANGE', reminders, 0, 0, 'WITHSCORES')
  local clock = redis.call('TIME')
  found[13] = redis.call('LLEN', entries)
  found[14] = soonest[2] or 'inf'
  found[15] = clock[1] .. '.' .. string.format('%06d', tonumber(clock[2]))
  return found
end
local function has_lost(head, applied)
  if ARGV[2] == '' or redis.call('HGET', head, 'origin') ~= ARGV[1] then return 0 end
  if redis.call('ZSCORE', applied, '+' .. ARGV[2]) then return 0 end
  local oldest = redis.call('ZRANGE', applied, 0, 0, 'WITHSCORES')
  if not oldest[2] or tonumber(ARGV[3]) >= tonumber(oldest[2]) then return 1 end
  return 0
end
"""

LISTS: Final = """
local CHUNK = 1000
local function packed(values, count)
  local sizes, bodies = {}, {}
  for i = 1, count do
    local value = values[i]
    if value then
      sizes[i] = #value
      bodies[#bodies + 1] = value
    else
      sizes[i] = -1
    end
  end
  return struct.pack('<' .. string.rep('i4', count), unpack(sizes, 1, count)), table.concat(bodies)
end
local function fields(keys, first, last)
  local names = {}
  for i = first, last do names[i - first + 1] = string.sub(keys, 8 * i - 7, 8 * i) end
  return names
end
local function documents(key, keys)
  local sizes, bodies, count = {}, {}, #keys / 8
  for first = 1, count, CHUNK do
    local last = math.min(first + CHUNK - 1, count)
    local values = redis.call('HMGET', key, unpack(fields(keys, first, last)))
    sizes[#sizes + 1], bodies[#bodies + 1] = packed(values, last - first + 1)
  end
  return table.concat(sizes), table.concat(bodies)
end
local function each(sizes, bodies, visit)
  local place, count = 1, #sizes / 4
  for first = 1, count, CHUNK do
    local many = math.min(CHUNK, count - first + 1)
    local found = {struct.unpack('<' .. string.rep('i4', many), sizes, 4 * first - 3)}
    for i = 1, many do
      local size = found[i]
      if size < 0 then
        visit(first + i - 1, false)
      else
        visit(first + i - 1, string.sub(bodies, place, place + size - 1))
        place = place + size
      end
    end
  end
end
"""

BEGIN: Final = script(
    _READS,
    "head entries reminders applied",
    _HEAD,
    "return {read_head(KEYS[1], KEYS[2], KEYS[3]), has_lost(KEYS[1], KEYS[4])}",
)
"""Read the head, and whether the server has lost what is known here.

ARGV: the origin, the last transaction known here, its number.
"""

FETCH: Final = script(
    _READS,
    "documents entries head",
    LISTS,
    """
local sizes, bodies = documents(KEYS[1], ARGV[1])
return {redis.call('LLEN', KEYS[2]), redis.call('HGET', KEYS[3], 'last'), sizes, bodies}
""",
)
"""Read documents, and which transaction was the last till then; ARGV: their keys."""

ENTRIES: Final = script(_READS, "entries", "return redis.call('LRANGE', KEYS[1], ARGV[1], -1)")
"""Read entries of the catalogue; ARGV: how many are known."""

DUE: Final = script(
    _READS,
    "reminders",
    "return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2])",
)
"""Read reminders; ARGV: before which time, and how many."""

SCAN: Final = script(
    _READS,
    "documents entries",
    LISTS,
    """
local found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local keys, sizes, bodies, names, values = {}, {}, {}, {}, {}
for i = 1, #found[2], 2 do
  names[#names + 1] = found[2][i]
  values[#values + 1] = found[2][i + 1]
  if #values == CHUNK or i == #found[2] - 1 then
    keys[#keys + 1] = table.concat(names)
    sizes[#sizes + 1], bodies[#bodies + 1] = packed(values, #values)
    names, values = {}, {}
  end
end
return {redis.call('LLEN', KEYS[2]), found[1], table.concat(keys), table.concat(sizes), table.concat(bodies)}
""",
)
"""Walk on through the documents; ARGV: the cursor, and about how many."""

COUNTED: Final = script(
    _READS,
    "head entries reminders applied journal pages folds gone",
    _HEAD,
    """
local journal, pages, folds, gone = unpack(KEYS, 5)
local fold, seen = tonumber(ARGV[4]), tonumber(ARGV[5])
local found = read_head(KEYS[1], KEYS[2], KEYS[3])
local folded, total = tonumber(found[11] or 0), tonumber(found[9] or 0)
local names, bodies, taken = {}, {}, {}
if fold < folded then
  names = redis.call('ZRANGEBYSCORE', folds, '(' .. fold, '+inf')
  for i = 1, #names do bodies[i] = redis.call('HGET', pages, names[i]) end
  if fold >= 0 then taken = redis.call('ZRANGEBYSCORE', gone, '(' .. fold, '+inf') end
end
local from = math.max(folded, seen) - (total - redis.call('LLEN', journal))
local entries = redis.call('LRANGE', journal, math.max(from, 0), -1)
return {found, has_lost(KEYS[1], KEYS[4]), names, bodies, taken, entries}
""",
)
"""Read what is counted; ARGV: as for `BEGIN`, then the fold and the journal entry that the caller has."""
