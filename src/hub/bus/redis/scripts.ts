import { RedisScript } from "../../../core/redis/script.ts";

/*
 * What Redis does in one step each. A room has
 *   a hash    e, t: its epoch, and when that has begun; o: the last offset; b: bytes that are kept; x: how long each is
 *             kept, in milliseconds; k: how long the hash is kept
 *   a stream  its publications by ids OFFSET-0: r, the record; s, its bytes; d, when it was published
 *   a channel `p EPOCH TIME OFFSET NODE NUMBER`, a line feed, the record; or `b EPOCH TIME OFFSET WHY`: it has begun anew
 */

/**
 * Reads where a room stands, which begins a new epoch over what is kept where there is less than was seen, or an older
 * epoch than was seen. In: meta, stream, candidate, seenE, seenT, seenO. Out: e, t, o, isNew.
 */
const standing = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function text(n) return string.format('%.0f', n) end
local function stand(meta, stream, candidate, seenE, seenT, seenO)
  local m = redis.call('HMGET', meta, 'e', 't', 'o')
  local e, t, o = m[1], tonumber(m[2] or '0'), tonumber(m[3] or '0')
  local isLess = e and e == seenE and o < seenO
  local isOlder = e and seenE ~= '' and e ~= seenE and t < seenT
  if e and not isLess and not isOlder then return e, t, o, false end
  if not e then redis.call('DEL', stream) end
  t = math.max(now, seenT + 1)
  redis.call('HSET', meta, 'e', candidate, 't', text(t), 'o', text(o))
  return candidate, t, o, true
end
local function drop(meta, stream, size, bytes, ttl)
  local kept = tonumber(redis.call('HGET', meta, 'b') or '0')
  local count = redis.call('XLEN', stream)
  while count > 0 do
    local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
    local f = first[2]
    if count <= size and kept <= bytes and tonumber(f[6]) + ttl > now then break end
    kept = kept - tonumber(f[4])
    count = count - 1
    redis.call('XDEL', stream, first[1])
  end
  if count == 0 then kept = 0 end
  redis.call('HSET', meta, 'b', text(kept))
  return count
end
`;

/**
 * Publishes some in one room. KEYS: hash, stream, id of each. ARGV: channel, candidate, seen epoch, time, offset; size, ttl,
 * most bytes; how long the hash is kept; of each: record, bytes, how long its id is kept, node and number. Answer for each:
 * whether it is new, epoch, time, offset.
 */
export const publishScript = new RedisScript(`${standing}
local e, t, o
local added = 0
local answers = {}
for i = 1, #KEYS - 2 do
  local at = 4 * i + 6
  local record, keep = ARGV[at], ARGV[at + 2]
  local known = keep ~= '0' and redis.call('GET', KEYS[i + 2])
  if known then
    local knownE, knownT, knownO = string.match(known, '^(%S+) (%S+) (%S+)$')
    answers[i] = {0, knownE, knownT, knownO}
  else
    if not e then
      e, t, o = stand(KEYS[1], KEYS[2], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
    end
    o = o + 1
    redis.call('XADD', KEYS[2], text(o) .. '-0', 'r', record, 's', ARGV[at + 1], 'd', text(now))
    added = added + tonumber(ARGV[at + 1])
    local place = e .. ' ' .. text(t) .. ' ' .. text(o)
    if keep ~= '0' then redis.call('SET', KEYS[i + 2], place, 'PX', keep) end
    redis.call('PUBLISH', ARGV[1], 'p ' .. place .. ' ' .. ARGV[at + 3] .. '\\n' .. record)
    answers[i] = {1, e, text(t), text(o)}
  end
end
if e then
  redis.call('HSET', KEYS[1], 'o', text(o), 'x', ARGV[7], 'k', ARGV[9])
  redis.call('HINCRBY', KEYS[1], 'b', text(added))
  drop(KEYS[1], KEYS[2], tonumber(ARGV[6]), tonumber(ARGV[8]), tonumber(ARGV[7]))
  redis.call('PEXPIRE', KEYS[1], ARGV[9])
  redis.call('PEXPIRE', KEYS[2], ARGV[7])
end
return answers
`);

/**
 * Reads. KEYS: hash, stream. ARGV: candidate, epoch and offset behind which it reads, limit; how long the hash is kept. The
 * epoch is empty to read from the oldest on. Answer: epoch, time, offset, whether nothing is missing, entries.
 */
export const readScript = new RedisScript(`${standing}
local e, t, o = stand(KEYS[1], KEYS[2], ARGV[1], '', 0, 0)
local m = redis.call('HMGET', KEYS[1], 'x', 'k')
redis.call('PEXPIRE', KEYS[1], m[2] or ARGV[5])
local after = tonumber(ARGV[3])
if ARGV[2] ~= '' and (ARGV[2] ~= e or after > o) then return {e, text(t), text(o), 0, {}} end
if m[1] then drop(KEYS[1], KEYS[2], 1e15, 1e15, tonumber(m[1])) end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local oldest = first and tonumber(string.match(first[1], '^%d+')) or o + 1
local complete = (ARGV[2] == '' or after >= oldest - 1) and 1 or 0
local from = ARGV[2] == '' and '-' or '(' .. text(after) .. '-0'
return {e, text(t), text(o), complete, redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', ARGV[4])}
`);

/**
 * Tells where rooms stand. KEYS: hash and stream of each. ARGV: how long hashes are kept; of each room: channel, candidate,
 * seen epoch, time, offset. Answer: epoch, time, offset of each.
 */
export const topsScript = new RedisScript(`${standing}
local all = {}
for i = 1, #KEYS / 2 do
  local meta, stream, at = KEYS[2 * i - 1], KEYS[2 * i], 5 * i - 3
  local seenE = ARGV[at + 2]
  local e, t, o, isNew = stand(meta, stream, ARGV[at + 1], seenE, tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
  redis.call('PEXPIRE', meta, redis.call('HGET', meta, 'k') or ARGV[1])
  if isNew and seenE ~= '' then
    redis.call('PUBLISH', ARGV[at], 'b ' .. e .. ' ' .. text(t) .. ' ' .. text(o) .. ' BUS')
  end
  all[i] = {e, text(t), text(o)}
end
return all
`);

/** Forgets what is kept of a room. KEYS: hash, stream. ARGV: channel, candidate, how long the hash is kept. */
export const clearScript = new RedisScript(`${standing}
local t = math.max(now, tonumber(redis.call('HGET', KEYS[1], 't') or '0') + 1)
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[1], 'e', ARGV[2], 't', text(t), 'o', '0', 'b', '0')
redis.call('PEXPIRE', KEYS[1], redis.call('HGET', KEYS[1], 'k') or ARGV[3])
redis.call('PUBLISH', ARGV[1], 'b ' .. ARGV[2] .. ' ' .. text(t) .. ' 0 CLEARED')
return 1
`);

/** All of them. */
export const scripts: readonly RedisScript[] = [publishScript, readScript, topsScript, clearScript];
