// What a text in the search box may be. Pure.
export type Offsets = { kind: 'offsetId'; ip: string; port: number; position: bigint }
export type Unique = { kind: 'uniqueId'; ip: string; pid: number }
export type Grpc = { kind: 'grpcId'; at: number }
export type Identity = Offsets | Unique | Grpc

const hex = /^[0-9A-Fa-f]+$/
const grpcEpoch = Date.UTC(2021, 0, 1)

/** Tells the three forms of message ID apart; undefined when it is none. */
export function identify(text: string): Identity | undefined {
  const s = text.trim()
  if (!hex.test(s)) return undefined
  if (s.length === 34 && s.startsWith('01')) return { kind: 'grpcId', at: grpcEpoch + parseInt(s.slice(18, 26), 16) * 1000 }
  if (s.length !== 32 && s.length !== 56) return undefined
  const ipLength = s.length === 32 ? 8 : 32
  const ip = address(s.slice(0, ipLength))
  const rest = s.slice(ipLength)
  const port = parseInt(rest.slice(0, 8), 16)
  // an offset message id carries a port in 4 bytes, of which 2 are zero; a client's id has its process there
  if (port > 0 && port < 65536) return { kind: 'offsetId', ip, port, position: BigInt('0x' + rest.slice(8)) }
  return { kind: 'uniqueId', ip, pid: parseInt(rest.slice(0, 4), 16) }
}

/** An ID is found as it was written. Offset IDs are in capitals, those of some clients in small letters: the one to try when the other is not found. */
export function otherCase(id: string): string | undefined {
  if (!identify(id)) return undefined
  const up = id.toUpperCase()
  const other = id === up ? id.toLowerCase() : up
  return other === id ? undefined : other
}

function address(h: string): string {
  const bytes = h.match(/../g)!.map((b) => parseInt(b, 16))
  if (bytes.length === 4) return bytes.join('.')
  return '[' + h.match(/..../g)!.map((g) => g.replace(/^0+(?=.)/, '').toLowerCase()).join(':') + ']'
}

export type Guess =
  | { kind: 'id'; id: string; identity?: Identity }
  | { kind: 'topic' | 'group' | 'client' | 'key'; name: string }

/** Topics that the broker and its clients keep for themselves. */
export const ofSystem = (topic: string) => /^(RMQ_SYS_|rmq_sys_|SCHEDULE_TOPIC_XXXX$|TBW102$|SELF_TEST_TOPIC$|OFFSET_MOVED_EVENT$|BenchmarkTest$)/.test(topic)

/** Known names that a mistyped one may have meant: same but for case, part of each other, or with a common beginning. */
export function near(name: string, known: string[], most = 3): string[] {
  const low = name.toLowerCase()
  const score = (k: string) => {
    const other = k.toLowerCase()
    if (other === low) return 1
    if (other.includes(low) || (other.length > 2 && low.includes(other))) return 0.9
    let same = 0
    while (same < low.length && low[same] === other[same]) same++
    return same / Math.max(low.length, other.length)
  }
  const scored = known.map((k) => ({ k, s: score(k) })).filter((x) => x.s >= 0.5)
  return scored.sort((a, b) => b.s - a.s).slice(0, most).map((x) => x.k)
}

export type Names = { topics: string[]; groups: string[]; clients: string[] }

/** Everything the text may mean, likeliest first: an ID form, names that are it or begin with it, a key, then names that contain it. */
export function guess(text: string, names: Names): Guess[] {
  const s = text.trim()
  if (!s) return []
  const identity = identify(s)
  const found: Guess[] = identity ? [{ kind: 'id', id: s, identity }] : [] // verbatim: Go's client writes small letters too
  const low = s.toLowerCase()
  const lists: ['topic' | 'group' | 'client', string[]][] = [
    ['topic', names.topics],
    ['group', names.groups],
    ['client', names.clients],
  ]
  for (const [kind, list] of lists) for (const name of list) if (name.toLowerCase() === low) found.push({ kind, name })
  const like = (test: (name: string) => boolean) =>
    lists.flatMap(([kind, list]) => list.filter((n) => n.toLowerCase() !== low && test(n.toLowerCase())).slice(0, 4).map((name): Guess => ({ kind, name })))
  found.push(...like((n) => n.startsWith(low)), { kind: 'key', name: s })
  if (!identity) found.push({ kind: 'id', id: s })
  found.push(...like((n) => !n.startsWith(low) && n.includes(low)))
  return found
}
