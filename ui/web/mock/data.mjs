// A demo shop, the same for the same start time: topics, groups, clients, messages. Shapes are openapi.json's.
export function random(seed) {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export const hostile = { key: '<script>alert(1)</script>', tag: 'javascript:alert(1)', body: '<img src=x onerror=alert(1)>' }
const hex = (n, w) => n.toString(16).toUpperCase().padStart(w, '0')
export const minute = 60_000

const shop = [
  { name: 'orders', tags: ['paid', 'created', 'refunded', 'cancelled'], share: 0.4, type: 'normal', order: false },
  { name: 'payments', tags: ['captured', 'declined'], share: 0.2, type: 'transaction', order: false },
  { name: 'shipments', tags: ['packed', 'left', 'arrived'], share: 0.15, type: 'fifo', order: true },
  { name: 'emails', tags: [''], share: 0.12, type: 'normal', order: false },
  { name: 'reminders', tags: ['cart'], share: 0.05, type: 'delay', order: false },
  { name: 'audit-log', tags: [''], share: 0.08, type: 'normal', order: false },
]

const queuesOf = { orders: 8, payments: 4, shipments: 16, emails: 4, reminders: 4, 'audit-log': 4 }

export function makeMessages(now, n, span, seed = 7) {
  const r = random(seed)
  const next = {}
  const out = []
  for (let i = 0; i < n; i++) {
    const at = now - span * (1 - (i + 1) / n) - 1500 + Math.floor(r() * 900)
    out.push(makeMessage(i, at, r, next))
  }
  return { messages: out, next, r }
}

export function makeMessage(i, at, r, next) {
  let pick = r()
  const topic = shop.find((t) => (pick -= t.share) < 0) ?? shop[0]
  const queueId = Math.floor(r() * queuesOf[topic.name])
  const q = (next[topic.name] ??= Array.from({ length: queuesOf[topic.name] }, (_, k) => 120_000 + k * 977))
  const order = 4000 + Math.floor(i / 2)
  const odd = i % 397 === 42
  const bodyBytes = odd ? 300_000 : 180 + Math.floor(r() * 2200)
  const appended = Math.floor(at) * 1000 + Math.floor(r() * 1000)
  const host = 10 + (i % 3)
  const position = 1_900_000_000 + i * 2048
  return {
    id: hex(0x0a000000 + host, 8) + hex(4711 + (i % 3), 4) + '18B4AAC2' + hex(Math.floor(at) % 0xffffffff, 8) + hex(i % 0xffff, 4),
    offsetId: '0A000005' + hex(10911, 8) + hex(position, 16),
    topic: topic.name, tag: odd ? hostile.tag : topic.tags[Math.floor(r() * topic.tags.length)],
    keys: odd ? [hostile.key] : topic.name === 'emails' ? [] : [`order-${order}`, ...(topic.name === 'payments' ? [`pay-${order * 7}`] : [])],
    type: topic.type, queueId, queueOffset: q[queueId]++, position, index: 80_000 + i, term: 3,
    storedBytes: bodyBytes + 214, bodyBytes, sysFlag: 0, reconsumeTimes: 0,
    producerGroup: `${topic.name}-producer`, producerClient: `10.0.0.${host}@${4711 + (i % 3)}#18446`, producerAddr: `10.0.0.${host}:5${1000 + host}`,
    language: ['JAVA', 'GO', 'JAVA'][i % 3], version: ['V5_3_2', 'V4_9_8', 'V5_1_4'][i % 3], protocol: i % 3 === 2 ? 'grpc' : 'remoting',
    broker: 'broker-a', node: 'node-1', bornMicros: Math.floor((appended - 1900) / 1000) * 1000,
    receivedMicros: appended - 310, appendedMicros: appended, syncedMicros: appended + 1240, ackedMicros: appended + 1610,
    timing: '', realTopic: '', realQueueId: 0, dueMicros: 0, originTopic: '', resentFrom: '', resentBy: '', cancelledMicros: 0,
    originId: '', traceIn: i % 5 === 0 ? '4bf92f3577b34da6a3ce929d0e0e4736' : '', parentIn: i % 5 === 0 ? '00f067aa0ba902b7' : '', traceFlags: i % 5 === 0 ? 1 : 0,
  }
}

export function makeTopics(state, now) {
  const topics = shop.map((t) => {
    const kept = 118_000 + t.name.length * 1313
    const queues = Array.from({ length: queuesOf[t.name] }, (_, id) => ({ broker: 'broker-a', id, min: 20_000 + id * 31, max: state.next[t.name]?.[id] ?? 120_000, lastStoredAt: now - id * 700 }))
    return {
      name: t.name, system: false, perm: 6, readQueues: queuesOf[t.name], writeQueues: queuesOf[t.name], order: t.order, attributes: { 'message.type': t.type.toUpperCase() },
      messages: queues.reduce((n, q) => n + q.max - q.min, 0), messagesInTotal: kept * 3 + Math.round((now % 864e5) * t.share), bytesInTotal: kept * 4211, lastStoredAt: now - 800,
      groups: Object.entries(reads).filter(([, ts]) => ts.includes(t.name)).map(([g]) => g), queues,
    }
  })
  const system = ['RMQ_SYS_TRACE_TOPIC', 'SCHEDULE_TOPIC_XXXX', '%RETRY%billing', '%DLQ%billing'].map((name) => ({
    name, system: true, perm: 6, readQueues: 1, writeQueues: 1, order: false, attributes: {}, messages: 912, messagesInTotal: 912, bytesInTotal: 99_000, lastStoredAt: now - 61_000,
    groups: [], queues: [{ id: 0, min: 0, max: 912, lastStoredAt: now - 61_000 }],
  }))
  for (let i = 0; i < state.many; i++) {
    system.push({ name: `tenant-${String(i).padStart(5, '0')}-events`, system: false, perm: 6, readQueues: 4, writeQueues: 4, order: false, attributes: {}, messages: (i * 7919) % 100_000, messagesInTotal: i * 31, bytesInTotal: i * 9000, lastStoredAt: now - i * 1000, groups: [], queues: [] })
  }
  return [...topics, ...system]
}

export const reads = {
  billing: ['orders', 'payments'], shipping: ['orders', 'shipments'], audit: ['orders', 'payments'], fraud: ['orders', 'payments'], mailer: ['emails', 'reminders'],
  'price-board': ['orders'], 'search-index': ['shipments'],
}

const sub = (topic, expression = '*') => ({ topic, type: 'TAG', expression, version: 1732000000000 })
const languages = ['JAVA', 'GO', 'JAVA', 'PYTHON']

function member(group, i, now, subscriptions) {
  return { clientId: `10.0.1.${20 + i}@${900 + i}#${group}`, addr: `10.0.1.${20 + i}:4${2000 + i}`, language: languages[i % 4], version: ['V5_3_2', 'V4_9_8', 'V5_1_4', 'V5_0_6'][i % 4], connectedAt: now - 3600_000 * (i + 2), lastHeartbeatAt: now - 9000 - i * 2000, subscriptions }
}

const members = { billing: 3, shipping: 2, audit: 0, fraud: 3, mailer: 1, 'price-board': 4, 'search-index': 1 }
const perQueueLag = { billing: 0, shipping: 1204, audit: 5220, fraud: 2, mailer: 0, 'price-board': 0, 'search-index': 0 }

export function makeGroups(state, now) {
  const groups = Object.keys(reads).map((name) => makeGroup(name, state, now))
  for (let i = 0; i < state.many; i++) {
    groups.push({ ...makeGroup('mailer', state, now), name: `tenant-${String(i).padStart(5, '0')}-workers`, lagMessages: (i * 31) % 977 === 0 ? i : 0, queues: [], online: i % 9 !== 0 })
  }
  groups.push({ ...makeGroup('mailer', state, now), name: 'TOOLS_CONSUMER', system: true, queues: [] })
  return groups
}

export function makeGroup(name, state, now) {
  const expression = name === 'billing' ? 'paid || refunded' : name === 'fraud' ? 'created' : '*'
  const list = Array.from({ length: members[name] }, (_, i) => member(name, i, now, reads[name].map((t) => sub(t, name === 'fraud' && i === 2 ? 'created || paid' : expression))))
  const online = list.length > 0
  const queues = reads[name].flatMap((topic) =>
    (state.next[topic] ?? []).map((max, queueId) => {
      const lag = Math.max(0, Math.round(perQueueLag[name] * (0.6 + ((queueId * 7) % 9) / 10)))
      const client = online ? list[queueId % list.length].clientId : `10.0.1.29@811#${name}`
      return { broker: 'broker-a', topic, queueId, min: 20_000 + queueId * 31, max, committed: max - lag, lagMessages: lag, lastCommitAt: online ? now - 1200 : now - 31 * minute, client, lastPullAt: online ? now - 700 : now - 31 * minute, lastPullOffset: max - lag, head: name === 'shipping' && topic === 'shipments' && lag ? { offset: max - lag, uniqKey: state.messages.at(-1)?.id ?? '', keys: 'order-4711', sinceAt: now - 4 * minute, client, untilAt: 0, times: queueId % 3, behind: lag - 1 } : undefined }
    }),
  )
  const lagMessages = queues.reduce((n, q) => n + q.lagMessages, 0)
  return {
    name, system: false, online, model: name === 'price-board' ? 'BROADCASTING' : online ? 'CLUSTERING' : '', consumeType: name === 'fraud' ? 'CONSUME_POP' : 'CONSUME_PASSIVELY',
    members: list, lastSeenAt: online ? now : now - 31 * minute, lagMessages, oldestWaitingAt: lagMessages ? now - (name === 'audit' ? 31 : 4) * minute : 0,
    subscriptions: [...new Map(list.flatMap((m) => m.subscriptions).map((s) => [s.topic + s.expression, s])).values()], subscriptionsConsistent: name !== 'fraud',
    queues, messagesOutTotal: 312_000 + Math.round(((now % 864e5) / 1000) * name.length * 11), retryMaxTimes: 16, consumeEnable: true,
  }
}

/** Dead letters of a group, newest first; every fifth was resent. */
export function makeLetters(state, now, group) {
  const own = state.messages.filter((_, i) => i % 11 === 3).slice(-260).reverse()
  return own.map((m, i) => ({
    broker: 'broker-a', group, offset: own.length - 1 - i, topic: m.topic, originMessage: m.offsetId, uniqKey: m.id, keys: m.keys.join(' '), tags: m.tag, attempts: 16, storedAt: now - i * 7 * minute, bornAt: now - i * 7 * minute - 17e6,
    position: m.position + 900, bytes: m.bodyBytes, resentAt: i % 5 === 4 ? now - minute : undefined,
  }))
}

/** Half messages that nobody decided, oldest first. */
export function makeHalves(state, now) {
  const own = state.messages.filter((m) => m.type === 'transaction').slice(-14)
  return own.map((m, i) => ({
    broker: 'broker-a', topic: m.topic, uniqKey: m.id, keys: m.keys.join(' '), producerGroup: m.producerGroup, halfOffset: 4000 + i, position: m.position, storedAt: now - (14 - i) * 31_000, checks: 14 - i, lastCheckAt: now - 12_000,
    nextCheckAt: now + 18_000, givenUpThen: i === 0, bytes: m.bodyBytes,
  }))
}

export function makeClients(state, now) {
  const out = []
  for (const g of Object.keys(reads)) for (const m of makeGroup(g, state, now).members) out.push({ ...m, subscriptions: undefined, protocol: g === 'fraud' ? 'grpc' : 'remoting', producerOf: [], consumerOf: [g] })
  for (let i = 0; i < 3; i++) {
    out.push({ clientId: `10.0.0.${10 + i}@${4711 + i}#18446`, addr: `10.0.0.${10 + i}:5${1010 + i}`, protocol: i === 2 ? 'grpc' : 'remoting', language: ['JAVA', 'GO', 'JAVA'][i], version: ['V5_3_2', 'V4_9_8', 'V5_1_4'][i], connectedAt: now - 7200_000, lastHeartbeatAt: now - 11_000, producerOf: ['orders-producer', 'payments-producer'], consumerOf: [] })
  }
  out.push({ clientId: '', addr: '10.0.9.9:60100', protocol: 'remoting', language: '', version: '', connectedAt: now - 4000, lastHeartbeatAt: 0, producerOf: [], consumerOf: [] })
  for (let i = 0; i < state.many; i++) out.push({ ...out[i % 6], clientId: `10.${i % 200}.${i % 251}.7@${i}#pool`, addr: `10.${i % 200}.${i % 251}.7:${10000 + i}` })
  return out
}

/** One client with what it told and was given. */
export function makeClient(client, state, now) {
  const groups = makeGroups(state, now).filter((g) => client.consumerOf.includes(g.name))
  const consumes = groups.map((g) => ({ group: g.name, consumeType: g.consumeType, model: g.model, fromWhere: 'CONSUME_FROM_LAST_OFFSET', subscriptions: g.subscriptions }))
  if (client.protocol !== 'grpc') return { client, consumes, settings: null }
  const delays = [10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200].map((s) => s * 1000)
  const producer = client.consumerOf.length === 0
  return {
    client, consumes,
    settings: {
      givenAt: now - 132_000, clientType: producer ? 'PRODUCER' : 'PUSH_CONSUMER', requestTimeoutMillis: 3000, userAgent: { language: client.language, version: '5.1.4', platform: 'Linux 6.1.0-18-amd64 x86_64', hostname: hostile.body },
      backoff: producer ? { maxAttempts: 3, strategy: 'exponential', initialMillis: 10, maxMillis: 1000, multiplier: 2, delaysMillis: [], delaysOmitted: 0 } : { maxAttempts: 17, strategy: 'customized', initialMillis: 0, maxMillis: 0, multiplier: 0, delaysMillis: delays, delaysOmitted: 0 },
      publishing: producer ? { topics: client.producerOf, topicsOmitted: 3, maxBodyBytes: 4 << 20, validateMessageType: true } : null,
      subscription: producer ? null : {
        group: client.consumerOf[0], fifo: true, receiveBatchSize: 32, longPollingMillis: 20_000, subscriptionsOmitted: 4,
        subscriptions: [...groups[0].members[0].subscriptions, { topic: 'a-topic-with-a-name-that-somebody-found-to-be-a-good-idea-once', type: 'SQL92', expression: "region IN ('eu-central-1', 'eu-west-1') AND amount BETWEEN 100 AND 90000 AND " + 'x'.repeat(90), version: 0 }],
      },
    },
  }
}

export function makeHappenings(now) {
  const h = (ago, kind, text, more = {}) => ({ atMicros: (now - ago) * 1000, kind, topic: '', group: '', client: '', addr: '', node: 'node-1', text, count: 1, detail: {}, ...more })
  return [
    h(40_000, 'connect', 'client connected', { client: '10.0.1.22@902#fraud', addr: '10.0.1.22:42002', group: 'fraud' }),
    h(41_000, 'rebalance', 'queues shared among 3 members', { group: 'fraud', count: 2 }),
    h(3 * minute, 'flush-stall', 'fdatasync took 412 ms', { detail: { micros: '412000' } }),
    h(9 * minute, 'refusal', 'SYSTEM_BUSY: 64 MiB of requests in memory, limit 64 MiB', { client: '10.0.0.11@4712#18446', addr: '10.0.0.11:51011', count: 37 }),
    h(31 * minute, 'disconnect', 'the last member of the group left: connection closed', { client: '10.0.1.29@811#audit', addr: '10.0.1.29:41222', group: 'audit' }),
    h(62 * minute, 'topic', `created by first send ${hostile.key}`, { topic: 'audit-log' }),
    h(118 * minute, 'leader-change', 'node-1 leads broker-a in term 3'),
  ]
}

export function makePoint(at) {
  const w = Math.sin(at / 47_000) + 0.5 * Math.sin(at / 11_000)
  const incoming = 820 + 180 * w + 40 * Math.sin(at / 1700)
  const stall = Math.abs((at % (15 * minute)) - 6 * minute) < 20_000 ? 0.35 : 1
  return { at, in: Math.round(incoming * stall), out: Math.round(incoming * 2.2 * stall + 60 * Math.sin(at / 900)), bytesIn: Math.round(incoming * stall * 1390), bytesOut: Math.round(incoming * 2.2 * stall * 1390), lag: Math.round(64_000 + 9000 * Math.sin(at / 190_000) + (at % (15 * minute)) / 90) }
}

/** As the server does it: one series per step, and one per topic and group only when either is named. */
export function makeRates(from, to, step, topic, group) {
  const all = allRates(from, to, step, topic, group)
  if (topic || group) return all
  const sums = new Map()
  for (const r of all) {
    const key = r.atMicros + r.step
    const s = sums.get(key)
    if (!s) sums.set(key, { ...r, topic: '', group: '' })
    else sums.set(key, { ...s, count: s.count + r.count, bytes: s.bytes + r.bytes, p99Micros: Math.max(s.p99Micros, r.p99Micros) })
  }
  return [...sums.values()]
}

function allRates(from, to, step, topic, group) {
  const out = []
  for (let at = from; at < to; at += step) {
    const p = makePoint(Math.floor(at / 1000))
    const seconds = step / 1e6
    for (const t of shop) {
      if (topic && topic !== t.name) continue
      if (!group) out.push({ atMicros: at, topic: t.name, group: '', step: 'store', count: Math.round(p.in * t.share * seconds), bytes: Math.round(p.bytesIn * t.share * seconds), p50Micros: 1500, p99Micros: 3900 + 20 * t.name.length })
      for (const g of Object.keys(reads)) {
        if (!reads[g].includes(t.name) || (group && group !== g) || g === 'audit') continue
        const base = { atMicros: at, topic: t.name, group: g, bytes: 0, count: Math.round(p.in * t.share * seconds * 0.96) }
        out.push({ ...base, step: 'deliver', p50Micros: 60, p99Micros: 240 + p.in * 0.4 })
        out.push({ ...base, step: 'ack', p50Micros: 0, p99Micros: 0 }, { ...base, step: 'process', p50Micros: 14_000, p99Micros: g === 'shipping' ? 2.1e6 : 61_000 + p.in * 30 })
      }
    }
  }
  return out
}

export function makeNode(now, started) {
  return {
    cluster: 'contrail', broker: 'broker-a', nodeId: 'node-1', version: '0.1.0-mock', roles: ['broker', 'namesrv', 'grpc', 'web'], startedAt: started, now, storeHost: '10.0.0.5:10911', nameServer: '10.0.0.5:9876',
    term: 3, leader: true, logFirstPosition: 0, logEndPosition: 41e9, commitIndex: 912_331, appliedIndex: 912_331, syncMode: 'fdatasync', diskTotalBytes: 512e9, diskFreeBytes: 201e9, logBytes: 41e9,
    fsyncP50Micros: 810, fsyncP99Micros: 3900, messagesInTotal: 3_812_001, messagesOutTotal: 8_402_119, bytesInTotal: 5.2e9, bytesOutTotal: 11.1e9, connections: 18,
    brokerGroups: ['broker-a', 'broker-b', 'broker-c'].map((name, i) => ({
      name, member: 1, term: 3 + i, leader: i + 1, leads: i === 0, commitIndex: 912_331 - 1000 * i, appliedIndex: 912_331 - 1000 * i, logEndPosition: 41e9,
      members: [1, 2, 3].map((id) => ({ id, addr: `10.0.0.${4 + id}:109${1 + i}1`, state: id === i + 1 ? 'leader' : id === 3 && i === 1 ? 'snapshot' : 'replicating', active: !(i === 2 && id === 2), matchIndex: 912_331 - 1000 * i - (i === 1 && id === 3 ? 48_000 : 0), lagEntries: i === 1 && id === 3 ? 48_000 : 0 })),
    })),
  }
}

export function makeTrail(now) {
  return { storeUp: true, storeText: 'embedded ClickHouse 26.5', shippedToMicros: (now - 1100) * 1000, lagMicros: 1_100_000, lagEntries: 12, rowsShipped: 14_902_113, rowsNotRecorded: 0, lastError: '', lastErrorMicros: 0 }
}
