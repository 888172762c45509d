"""What a Redis server does to the event log in one step, as Lua. Knows keys and ids alone.

KEYS: the stream, the hash that tells the epoch and what was trimmed, and for APPEND the key of the
write. ARGV[1] is a name for a new epoch, should one begin. The stream's ids are `<number>-0`.
"""

from typing import Final

# A stream and its hash belong together. Where the stream is gone, the log is empty and the next
# append begins an epoch. Where the hash is gone, what the stream holds can still be read, but as
# another log: nobody knows whether it is the old one. XINFO and not XREVRANGE: the last id is
# known even when all entries are trimmed.
_EXTENT: Final = """
local function number(id)
    return tonumber(string.match(id, '^%d+'))
end

local function extent()
    local epoch, trimmed = unpack(redis.call('HMGET', KEYS[2], 'epoch', 'trimmed'))
    if redis.call('EXISTS', KEYS[1]) == 0 then
        return '', 0, 0
    end
    local told, info = redis.call('XINFO', 'STREAM', KEYS[1]), {}
    for at = 1, #told, 2 do
        info[told[at]] = told[at + 1]
    end
    local last, first = number(info['last-generated-id']), info['first-entry']
    if not epoch then
        epoch, trimmed = ARGV[1], first and number(first[1]) - 1 or last
        redis.call('HSET', KEYS[2], 'epoch', epoch, 'trimmed', trimmed)
    end
    return epoch, tonumber(trimmed), last
end

local epoch, trimmed, last = extent()
"""

# ARGV: epoch, call, digest, seconds the key is kept, payload… A key's value is epoch (16), number
# (16), call (16) and digest. XADD stands first: refused for want of memory, it has written nothing,
# and after a first write Redis refuses no more.
APPEND: Final = (
    _EXTENT
    + """
local known = redis.call('GET', KEYS[3])
if known and string.sub(known, 1, 16) == epoch then
    local at = tonumber(string.sub(known, 17, 32))
    return {epoch, at, string.sub(known, 33, 48), string.sub(known, 49)}
end
for at = 5, #ARGV do
    last = last + 1
    redis.call('XADD', KEYS[1], string.format('%.0f-0', last), 'event', ARGV[at])
end
if epoch == '' then
    epoch = ARGV[1]
    redis.call('HSET', KEYS[2], 'epoch', epoch, 'trimmed', 0)
end
local value = epoch .. string.format('%016.0f', last) .. ARGV[2] .. ARGV[3]
redis.call('SET', KEYS[3], value, 'EX', ARGV[4])
return {epoch, last, ARGV[2], ARGV[3]}
"""
)

# ARGV: epoch, the first number wanted, how many, how many bytes are enough.
READ: Final = (
    _EXTENT
    + """
local found, size = {}, 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])) do
    found[#found + 1] = entry[1]
    found[#found + 1] = entry[2][2]
    size = size + #entry[2][2]
    if size >= tonumber(ARGV[4]) then
        break
    end
end
return {epoch, trimmed, last, found}
"""
)

HEAD: Final = _EXTENT + "return {epoch, trimmed, last}"

# ARGV: epoch, epoch and number of the last entry to drop. XTRIM stands first: it is allowed when
# memory has run out, and after it the HSET is too.
TRIM: Final = (
    _EXTENT
    + """
local upto = tonumber(ARGV[3])
if epoch == ARGV[2] and upto <= last and upto > trimmed then
    redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f-0', upto + 1))
    redis.call('HSET', KEYS[2], 'trimmed', string.format('%.0f', upto))
end
return {epoch, trimmed, last}
"""
)
