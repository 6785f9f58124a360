// The console's server without a broker: `node mock/server.mjs [--port 8090] [--mode demo|empty|error|many] [--dist dist]`.
// A cookie `mock=MODE` changes the mode for one browser, so that a test needs one process.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { hostile, makeClient, makeClients, makeHalves, makeLetters, makeGroups, makeHappenings, makeMessage, makeMessages, makeNode, makePoint, makeRates, makeTopics, makeTrail, minute } from './data.mjs'
import { makeLife } from './life.mjs'

const { values: args } = parseArgs({ options: { port: { type: 'string', default: '8090' }, mode: { type: 'string', default: 'demo' }, dist: { type: 'string', default: fileURLToPath(new URL('../dist', import.meta.url)) } } })
const started = Date.now() - 27 * 3600e3
const worlds = { demo: world(4000, 24 * 3600e3, 0), many: world(12_000, 14 * minute, 10_000), empty: { messages: [], next: {}, many: 0, byId: new Map() } }

function world(n, span, many) {
  const recent = makeMessages(Date.now(), n, span)
  const byId = new Map()
  recent.messages.forEach((m, i) => (byId.set(m.id, i), byId.set(m.offsetId, i)))
  return { ...recent, many, byId }
}

setInterval(() => {
  const w = worlds.demo
  const m = makeMessage(w.messages.length, Date.now() - 900, w.r, w.next)
  w.byId.set(m.id, w.messages.length).set(m.offsetId, w.messages.length)
  w.messages.push(m)
}, 700)

const problem = (status, title, detail, next) => ({ status, problem: { type: 'about:blank', title, status, detail, next, id: 'r-' + (started % 100000) } })

function search(w, q) {
  const from = Number(q.get('from') ?? 0)
  const to = Number(q.get('to') ?? 9e18)
  const before = Number(q.get('before') || 9e15)
  const limit = Math.min(1000, Number(q.get('limit') || 100))
  const is = (name, value) => !q.get(name) || q.get(name) === value
  const all = w.messages.filter((m) => (!q.get('state') || (q.get('state') === 'scheduled' && m.type === 'delay')) && m.appendedMicros >= from && m.appendedMicros < to && is('topic', m.topic) && is('tag', m.tag) && is('producerGroup', m.producerGroup) && (!q.get('id') || m.id === q.get('id') || m.offsetId === q.get('id')) && (!q.get('key') || m.keys.includes(q.get('key'))) && (!q.get('client') || m.producerClient === q.get('client'))).reverse()
  const page = all.filter((m) => m.index < before).slice(0, limit)
  const oldest = started * 1000
  const answer = q.get('key') === 'fail' ? 'failed' : all.length ? 'found' : from < oldest ? 'not-recorded' : 'nothing'
  const reason = answer === 'failed' ? 'code 241: memory limit of 512 MiB exceeded' : answer === 'not-recorded' ? `the trail begins at ${new Date(started).toISOString()}: older rows have expired` : undefined
  return { answer, reason, messages: page, next: all.filter((m) => m.index < before).length > limit ? String(page.at(-1).index) : undefined, rowsRead: w.messages.length * 11, bytesRead: w.messages.length * 1431, elapsedMicros: 38_200, histogram: histogram(all, from, to) }
}

function scheduledNext(w, now) {
  const waiting = w.messages.filter((m) => m.type === 'delay').map((m) => ({ ...m, topic: 'rmq_sys_wheel_timer', timing: 'parked', realTopic: m.topic, realQueueId: m.queueId, dueMicros: m.appendedMicros + 90e6 })).filter((m) => m.dueMicros > now * 1000)
  const messages = waiting.sort((a, b) => a.dueMicros - b.dueMicros).slice(0, 500)
  return { answer: messages.length ? 'found' : 'nothing', messages, rowsRead: 0, bytesRead: 0, elapsedMicros: 12_000, histogram: messages.map((m) => ({ atMicros: m.dueMicros, count: 1 })) }
}

/** The same as the broker tells it. */
function scheduledOfBroker({ messages }) {
  const list = messages.map((m) => ({ broker: m.broker, topic: m.realTopic, queueId: m.realQueueId, uniqKey: m.id, keys: m.keys.join(' '), tags: m.tag, dueAt: Math.floor(m.dueMicros / 1000), storedAt: Math.floor(m.appendedMicros / 1000), position: m.position, bytes: m.bodyBytes, recallHandle: 'handle' }))
  return { pending: list.length, scheduledTotal: 4000, firedTotal: 3800, cancelledTotal: 200 - list.length, messages: list }
}

function deadLetters(all, q) {
  const is = (name, value) => !q.get(name) || q.get(name) === value
  const from = Number(q.get('before') || 0)
  const limit = Number(q.get('limit') || 100)
  const found = all.filter((d) => is('topic', d.topic) && is('tag', d.tags) && (!q.get('key') || d.keys.split(' ').includes(q.get('key'))) && (!q.get('state') || (q.get('state') === 'resent') === !!d.resentAt))
  return { total: all.length, scanned: all.length, letters: found.slice(from, from + limit), next: from + limit < found.length ? String(from + limit) : '' }
}

const places = (w, now, group) => makeGroups(w, now).find((g) => g.name === group)?.queues ?? []

/** What acts are answered with. A dead letter whose offset ends in 7 is refused, one that was resent stays. */
function acted(url, body, w, now) {
  const [name, arg, part, act] = url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent)
  if (name === 'dead-letters') {
    const known = new Map(makeLetters(w, now, arg).map((d) => [d.offset, d]))
    return { outcomes: body.letters.map(({ broker, offset }) => ({ broker, offset, outcome: offset % 10 === 7 ? 'refused' : known.get(offset)?.resentAt && !body.again ? 'already' : 'resent', why: offset % 10 === 7 ? 'topic[%RETRY%billing] not exist' : '', at: now, topic: '%RETRY%' + arg, copyPosition: 1 })) }
  }
  if (part === 'offsets' && act === 'plan') {
    const queues = places(w, now, arg).filter((q) => !body.topic || q.topic === body.topic)
    return { online: true, queues: queues.map((q) => ({ brokerGroup: q.broker, topic: q.topic, queueId: q.queueId, committed: q.committed, min: q.min, max: q.max, to: body.to === 'latest' ? q.max : q.min, messagesAgain: body.to === 'latest' ? 0 : q.committed - q.min, messagesSkipped: body.to === 'latest' ? q.max - q.committed : 0, oldestMillis: now - 3600e3, newestMillis: now })) }
  }
  if (part === 'offsets' && act === 'reset') return { outcomes: body.queues.map((q) => ({ ...q, outcome: q.queueId === 1 ? 'refused' : 'moved', why: q.queueId === 1 ? 'Target offset 1 not in consume queue range [5-9]' : '' })) }
  if (part === 'offsets' || name === 'transactions') return { brokerGroups: ['broker-a'] }
  if (name === 'scheduled') return { outcome: 'too-late', text: 'recall failed, it was delivered' }
  if (name === 'messages') return { consumeResult: 'CR_THROW_EXCEPTION', remark: 'java.lang.IllegalStateException: ' + hostile.body, order: false, autoCommit: true, spentTimeMills: 12 }
  if (name === 'clients') return { properties: { PROP_CLIENT_VERSION: 'V5_3_2' }, queues: [{ brokerGroup: 'broker-a', topic: 'orders', queueId: 1, commitOffset: 120, cachedMsgMinOffset: 0, cachedMsgMaxOffset: 0, cachedMsgCount: 4, locked: true, droped: false, lastPullTimestamp: now, lastConsumeTimestamp: now }], topics: [{ topic: 'orders', pullRT: 1, pullTPS: 9, consumeRT: 4.2, consumeOKTPS: 9, consumeFailedTPS: 0.1, consumeFailedMsgs: 3 }], stacks: body.jstackEnable ? 'TID: 1 STATE: WAITING\n  at java.lang.Object.wait' : '', stacksTruncated: false }
  return problem(404, 'No such endpoint', url.pathname, 'see /api/v1/openapi.json')
}

function sendActed(req, res, url, w, allowed) {
  let text = ''
  req.on('data', (part) => (text += part))
  req.on('end', () => sendJson(res, allowed ? acted(url, JSON.parse(text), w, Date.now()) : problem(403, 'this console changes nothing', readOnly, 'use the command line')))
}

const readOnly = 'console.actions is false: it is read-only'

function histogram(all, from, to) {
  const step = Math.max(1, Math.ceil((to - from) / 60))
  const counts = new Map()
  for (const m of all) {
    const at = from + Math.floor((m.appendedMicros - from) / step) * step
    counts.set(at, (counts.get(at) ?? 0) + 1)
  }
  return [...counts].map(([atMicros, count]) => ({ atMicros, count })).sort((a, b) => a.atMicros - b.atMicros)
}

function body(m) {
  const properties = { UNIQ_KEY: m.id, KEYS: m.keys.join(' '), TAGS: m.tag, WAIT: 'true', CLUSTER: 'contrail', MSG_REGION: 'DefaultRegion', TRACE_ON: 'true', shop: hostile.key }
  const text = m.bodyBytes > 200_000 ? 'x'.repeat(1000) + hostile.body : JSON.stringify({ order: m.keys[0] ?? null, note: hostile.body, amount: { value: 41.9, currency: 'EUR' }, items: [{ sku: 'A-1', count: 2 }, { sku: '手套', count: 1 }], paid: true })
  const hexed = Buffer.from(text).toString('hex')
  return { storedBytes: m.bodyBytes, bytes: text.length, compression: '', truncated: m.bodyBytes > 200_000, kind: m.bodyBytes > 200_000 ? 'text' : 'json', text, hex: hexed.slice(0, 8192), properties, error: '' }
}

function overview(w, now) {
  const groups = makeGroups(w, now).filter((g) => !g.system)
  const topics = makeTopics(w, now).filter((t) => !t.system)
  const empty = w.messages.length === 0
  return {
    node: { ...makeNode(now, started), ...(empty ? { messagesInTotal: 0, messagesOutTotal: 0, startedAt: now - 61_000 } : {}) }, trail: makeTrail(now), changes: [], topics: empty ? 0 : topics.length, groups: empty ? 0 : groups.length, clients: empty ? 0 : makeClients(w, now).length,
    lagMessages: empty ? 0 : groups.reduce((n, g) => n + g.lagMessages, 0), worst: empty ? [] : groups.filter((g) => g.lagMessages > 0).sort((a, b) => b.lagMessages - a.lagMessages).slice(0, 10).map((g) => ({ ...g, queues: undefined })),
    unread: empty ? [] : ['audit-log'], series: Array.from({ length: 180 }, (_, i) => (empty ? { at: now - (180 - i) * 5000, in: 0, out: 0, bytesIn: 0, bytesOut: 0, lag: 0 } : makePoint(now - (180 - i) * 5000))), happened: empty ? [] : makeHappenings(now), answer: empty ? 'nothing' : 'found', reason: '',
  }
}

function answer(url, w, now) {
  const q = url.searchParams
  const [name, arg, part] = url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent)
  const empty = w.messages.length === 0
  const one = (list, key) => list.find((x) => x[key] === arg)
  if (name === 'overview') return overview(w, now)
  if (name === 'node') return makeNode(now, started)
  if (name === 'trail') return makeTrail(now)
  if (name === 'topics' && arg) return (!empty && one(makeTopics(w, now), 'name')) || problem(404, 'No such topic', `there is no topic ${arg}`, 'look at the list of topics')
  if (name === 'topics') return { topics: empty ? [] : makeTopics(w, now).map((t) => ({ ...t, queues: undefined })) }
  if (name === 'groups' && arg) return (!empty && one(makeGroups(w, now), 'name')) || problem(404, 'No such consumer group', `there is no group ${arg}`, 'look at the list of groups')
  if (name === 'groups') return { groups: empty ? [] : makeGroups(w, now).map((g) => ({ ...g, queues: undefined })) }
  if (name === 'clients' && arg) {
    const client = makeClients(w, now).find((c) => c.clientId === arg && (!q.get('addr') || c.addr === q.get('addr')))
    return client ? makeClient(client, w, now) : problem(404, 'no such client is connected to this node', arg, 'check the name')
  }
  if (name === 'clients') return { clients: empty ? [] : makeClients(w, now) }
  if (name === 'happenings') return { happenings: empty ? [] : makeHappenings(now) }
  if (name === 'rates') return { rates: empty ? [] : makeRates(Number(q.get('from')), Math.min(now * 1000, Number(q.get('to'))), Number(q.get('step')) || 60e6, q.get('topic'), q.get('group')) }
  if (name === 'actions') return { allowed: true, why: '' }
  if (name === 'transactions') return { open: empty ? 0 : 14, begunTotal: 90_211, committedTotal: 88_004, rolledBackTotal: 2190, givenUpTotal: 3, checksTotal: 902, halves: empty ? [] : makeHalves(w, now) }
  if (name === 'dead-letters') return deadLetters(empty ? [] : makeLetters(w, now, arg), q)
  if (name === 'scheduled' && arg === 'next') return scheduledOfBroker(scheduledNext(w, now))
  if (name === 'scheduled') return scheduledNext(w, now)
  if (name === 'messages' && !arg) return search(w, q)
  if (name === 'messages') return message(w, arg, part, now)
  return problem(404, 'No such endpoint', url.pathname, 'see /api/v1/openapi.json')
}

function message(w, id, part, now) {
  const i = w.byId.get(id)
  if (i === undefined && part) return problem(404, 'No such message', `no message has the ID ${id}`, 'check that the whole ID was copied')
  if (i === undefined) return { life: { answer: 'nothing', reason: '', messages: [], deliveries: [], settlements: [], steps: [], happenings: [], notRecorded: [], traceId: '', shippedToMicros: (now - 1100) * 1000 }, stored: null, stepsExpected: 0, stepsRecorded: 0, verdicts: [], records: [], now }
  const m = w.messages[i]
  if (part === 'body') return body(m)
  return makeLife(m, i, now, w, makeHappenings(now))
}

function sendStream(res, w, url) {
  res.writeHead(200, { 'content-type': 'application/x-ndjson' })
  const found = search(w, url.searchParams)
  const parts = []
  for (let i = 0; i < found.messages.length; i += 100) parts.push(found.messages.slice(i, i + 100))
  const next = () => {
    const part = parts.shift()
    if (!part) return res.end(JSON.stringify({ done: { ...found, messages: [] } }) + '\n')
    res.write(JSON.stringify({ messages: part }) + '\n')
    res.write(JSON.stringify({ scannedToMicros: part.at(-1).appendedMicros }) + '\n')
    setTimeout(next, 25)
  }
  next()
}

function sendLive(req, res, w) {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const tick = () => {
    const now = Date.now()
    const point = w.messages.length ? makePoint(now) : { at: now, in: 0, out: 0, bytesIn: 0, bytesOut: 0, lag: 0 }
    res.write(`data: ${JSON.stringify({ point, trail: makeTrail(now), stopped: '' })}\n\n`)
  }
  tick()
  const id = setInterval(tick, 1000)
  req.on('close', () => clearInterval(id))
}

const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json' }

function sendFile(res, pathname) {
  const wanted = join(args.dist, normalize(pathname))
  const file = wanted.startsWith(args.dist) && existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(args.dist, 'index.html')
  res.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream', 'content-security-policy': "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'" })
  createReadStream(file).pipe(res)
}

function sendJson(res, value) {
  const status = value.problem ? value.status : 200
  res.writeHead(status, { 'content-type': value.problem ? 'application/problem+json' : 'application/json' })
  res.end(JSON.stringify(value.problem ?? value))
}

createServer((req, res) => {
  const url = new URL(req.url, 'http://mock')
  if (!url.pathname.startsWith('/api/')) return sendFile(res, url.pathname)
  const mode = /(?:^|; )mock=(\w+)/.exec(req.headers.cookie ?? '')?.[1] ?? args.mode
  if (mode === 'error') return sendJson(res, problem(503, 'The trail’s store does not answer', 'dial unix clickhouse.sock: connection refused', 'see the log of the embedded engine; the broker itself is not affected'))
  const w = worlds[mode] ?? worlds.demo
  if (req.method === 'POST') return sendActed(req, res, url, w, mode !== 'readonly')
  if (url.pathname === '/api/v1/actions' && mode === 'readonly') return sendJson(res, { allowed: false, why: readOnly })
  if (url.pathname === '/api/v1/live') return sendLive(req, res, w)
  if (url.pathname === '/api/v1/messages/stream') return sendStream(res, w, url)
  if (url.pathname.endsWith('/raw')) return res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-disposition': 'attachment' }).end(hostile.body)
  sendJson(res, answer(url, w, Date.now()))
}).listen(Number(args.port), '127.0.0.1', () => console.log(`mock: http://127.0.0.1:${args.port} (${args.mode})`))
