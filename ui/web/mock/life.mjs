// The life of a message of the demo shop, group by group, with the verdicts the broker would give.
import { makeGroup, reads } from './data.mjs'

const fact = (code, atMicros, values, text) => ({ code, atMicros, values: Object.fromEntries(Object.entries(values).map(([k, v]) => [k, String(v)])), text: text ?? code })

function delivery(m, g, client, sent, extra = {}) {
  return {
    topic: m.topic, queueId: m.queueId, from: Math.max(0, m.queueOffset - 3), to: m.queueOffset + 5, group: g, client, addr: client.split('@')[0] + ':42001', language: 'JAVA', version: 'V5_3_2', protocol: 'remoting', node: 'node-1',
    requestedMicros: sent - 8_400_000, sentMicros: sent, waitedMicros: 8_390_000, messages: 8, filtered: 0, skipped: [], bytes: 9211, attempt: 1, subscription: '*', ...extra,
  }
}

const settlement = (m, g, client, at, outcome = 'acknowledged') => ({ topic: m.topic, queueId: m.queueId, from: m.queueOffset - 3, to: m.queueOffset + 5, group: g, outcome, client, node: 'node-1', atMicros: at, position: m.position + 4096 })

const step = (m, g, client, at, dur, attempt, status, error = '') => ({ id: m.id, name: 'process', topic: m.topic, group: g, client, addr: client.split('@')[0], atMicros: at, durationMicros: dur, attempt, status, error, source: 'client', detail: 'C0A80001', position: m.position + 9000 })

const toldDelivery = (m, client, at) => fact('delivered', at, { client, from: m.queueOffset - 3, to: m.queueOffset + 4, queue: m.queueId }, `delivered to ${client}`)

function consumed(m, g, out, ready, work) {
  const client = `10.0.1.20@900#${g}`
  const sent = m.ackedMicros + ready
  const done = sent + work
  out.deliveries.push(delivery(m, g, client, sent))
  out.steps.push(step(m, g, client, sent + 900, work - 1800, 1, 'Ok'))
  out.settlements.push(settlement(m, g, client, done))
  return { group: g, state: 'consumed', ahead: 0, client, attempts: 1, sinceMicros: done, tookMicros: done - m.appendedMicros, evidence: [toldDelivery(m, client, sent), fact('acknowledged', done, { client, from: m.queueOffset - 3, to: m.queueOffset + 4 })] }
}

function retried(m, g, out) {
  const [a, b] = [`10.0.1.20@900#${g}`, `10.0.1.21@901#${g}`]
  const first = m.ackedMicros + 11_000
  const [waits, copy] = retryCopies(m, g, first + 12_900)
  const second = copy.ackedMicros + 3100
  out.messages.push(waits, copy)
  out.deliveries.push(delivery(m, g, a, first), delivery(copy, g, b, second, { attempt: 2, from: 911, to: 912, messages: 1, waitedMicros: 2_000_000, requestedMicros: second - 2_000_100 }))
  out.steps.push(step(m, g, a, first + 400, 11_600, 1, 'Error', 'java.lang.IllegalStateException: card service timed out'), step(copy, g, b, second + 300, 17_900, 2, 'Ok'))
  out.settlements.push(settlement(copy, g, b, second + 19_000))
  const done = second + 19_000
  return { group: g, state: 'consumed', ahead: 0, client: b, attempts: 2, sinceMicros: done, tookMicros: done - m.appendedMicros, evidence: [toldDelivery(m, a, first), toldDelivery(copy, b, second), fact('client-failed', first + 400, { client: a, error: 'java.lang.IllegalStateException: card service timed out' }), fact('acknowledged', done, { client: b, from: 911, to: 911 })] }
}

const moved = (m, by) => ({ position: m.position + by, offsetId: m.offsetId.slice(0, 16) + (m.position + by).toString(16).toUpperCase().padStart(16, '0') })

/** Waits for ten seconds, then is in the retry topic. */
function retryCopies(m, g, at) {
  const base = { ...m, type: 'normal', reconsumeTimes: 1, originTopic: m.topic, originId: m.offsetId, realTopic: `%RETRY%${g}`, realQueueId: 0, dueMicros: Math.floor(at / 1000) * 1000 + 10_000_000 }
  const waits = { ...base, ...moved(m, 4096), topic: 'SCHEDULE_TOPIC_XXXX', queueId: 2, queueOffset: 4012, timing: 'parked', receivedMicros: at - 400, appendedMicros: at, syncedMicros: at + 900, ackedMicros: at + 1200 }
  const fired = base.dueMicros + 1900
  return [waits, { ...base, ...moved(m, 8192), topic: base.realTopic, queueId: 0, queueOffset: 911, timing: 'fired', receivedMicros: 0, appendedMicros: fired, syncedMicros: fired + 1100, ackedMicros: fired + 1500 }]
}

const reminded = 90_000_000 // µs: reminders wait

/** A scheduled message: it waits, was cancelled, or is in its topic since it was due. */
function scheduled(m, i, now, out) {
  const due = m.appendedMicros + reminded
  const parked = { ...m, topic: 'rmq_sys_wheel_timer', queueId: 0, timing: 'parked', realTopic: m.topic, realQueueId: m.queueId, dueMicros: due }
  out.messages[0] = parked
  if (i % 4 === 1) out.steps.push({ id: m.id, name: 'cancel', topic: '', group: '', client: '', addr: '', atMicros: m.appendedMicros + 31_000_000, durationMicros: 0, attempt: 0, status: 'Ok', error: '', source: 'broker', detail: '', position: m.position + 900, broker: m.broker, place: m.position })
  else if (due < now * 1000) out.messages.push({ ...m, ...moved(m, 2048), timing: 'fired', realTopic: m.topic, realQueueId: m.queueId, dueMicros: due, receivedMicros: 0, appendedMicros: due + 2300, syncedMicros: due + 3300, ackedMicros: due + 3600 })
  return out.messages.at(-1)
}

function dies(m, g, out) {
  const verdict = retried(m, g, out)
  const at = verdict.sinceMicros
  out.settlements.pop()
  const failed = out.steps.at(-1)
  out.steps[out.steps.length - 1] = { ...failed, status: 'Error', error: 'java.lang.IllegalStateException: card expired' }
  const letter = { ...m, ...moved(m, 12_288), type: 'normal', topic: `%DLQ%${g}`, queueId: 0, queueOffset: 37, reconsumeTimes: 2, originTopic: m.topic, originId: m.offsetId, receivedMicros: at - 500, appendedMicros: at, syncedMicros: at + 900, ackedMicros: at + 1300 }
  out.messages.push(letter)
  return { ...verdict, state: 'dead', retry: 1, maxRetries: 1, where: whereOf(letter), sinceMicros: at, tookMicros: 0, evidence: [...verdict.evidence.slice(0, 2), fact('dead', at, { group: g, attempts: 2, topic: letter.topic, queue: 0, offset: 37 })] }
}

const whereOf = (m) => ({ broker: m.broker, topic: m.timing === 'parked' ? m.realTopic : m.topic, queueId: m.timing === 'parked' ? m.realQueueId : m.queueId, queueOffset: m.timing === 'parked' ? -1 : m.queueOffset, position: m.position })

const waitsUntil = (m, g) => ({ group: g, state: 'scheduled', ahead: 0, client: '', attempts: 0, sinceMicros: m.appendedMicros, tookMicros: 0, dueMicros: m.dueMicros, evidence: [fact('parked', m.dueMicros, { topic: m.realTopic, queue: m.realQueueId })] })

const cancelledAt = (m, g, s) => ({ ...waitsUntil(m, g), state: 'cancelled', sinceMicros: s.atMicros, evidence: [fact('parked', m.dueMicros, { topic: m.realTopic, queue: m.realQueueId }), fact('cancelled', s.atMicros, {})] })

function held(m, g, out) {
  const client = `10.0.1.21@901#${g}`
  const sent = m.ackedMicros + 7000
  out.deliveries.push(delivery(m, g, client, sent))
  return { group: g, state: 'delivered', ahead: 0, client, attempts: 1, sinceMicros: sent, tookMicros: 0, evidence: [toldDelivery(m, client, sent), fact('committed', 0, { queue: m.queueId, committed: m.queueOffset - 3, offset: m.queueOffset })] }
}

function waiting(m, g, ahead) {
  return { group: g, state: 'waiting', ahead, client: '', attempts: 0, sinceMicros: m.appendedMicros, tookMicros: 0, evidence: [fact('committed', m.ackedMicros, { queue: m.queueId, committed: m.queueOffset - ahead, offset: m.queueOffset }), fact('last-pull', m.ackedMicros + 90_000, { client: `10.0.1.20@900#${g}`, offset: m.queueOffset - ahead })] }
}

function filtered(m, g, out) {
  const client = `10.0.1.22@902#${g}`
  out.deliveries.push(delivery(m, g, client, m.ackedMicros + 5200, { filtered: 1, skipped: [m.queueOffset], messages: 7, subscription: 'created' }))
  return { group: g, state: 'filtered', ahead: 0, client: '', attempts: 0, sinceMicros: m.ackedMicros + 5200, tookMicros: 0, evidence: [fact('filtered', m.ackedMicros + 5200, { client, expression: 'created', tag: m.tag })] }
}

function verdictOf(m, g, i, out, now, state) {
  if (!reads[g].includes(m.timing === 'parked' ? m.realTopic : m.topic)) return { group: g, state: 'not-subscribed', ahead: 0, client: '', attempts: 0, sinceMicros: 0, tookMicros: 0, evidence: [fact('no-subscription', 0, { group: g, topic: m.topic })] }
  const cancel = out.steps.find((s) => s.name === 'cancel')
  if (m.timing === 'parked') return cancel ? cancelledAt(m, g, cancel) : waitsUntil(m, g)
  const age = now * 1000 - m.appendedMicros
  if (g === 'audit') {
    const last = makeGroup('audit', state, now).lastSeenAt * 1000
    return age < (now * 1000 - last) ? { group: g, state: 'offline', ahead: 5220, client: '', attempts: 0, sinceMicros: Math.max(last, m.appendedMicros), tookMicros: 0, evidence: [fact('last-seen', last, {}), fact('committed', last, { queue: m.queueId, committed: m.queueOffset - 5220, offset: m.queueOffset })] } : consumed(m, g, out, 9000, 20_000)
  }
  if (g === 'shipping' && age < 4 * 60e6) return waiting(m, g, 1204)
  if (g === 'fraud' && m.tag !== 'created') return filtered(m, g, out)
  if (g === 'billing' && m.topic === 'orders' && !/paid|refunded/.test(m.tag)) return filtered(m, g, out)
  if (g === 'billing' && i % 12 === 0 && age > 11e6) return dies(m, g, out)
  if (g === 'billing' && i % 3 === 0 && age > 11e6) return retried(m, g, out)
  if (g === 'mailer' && i % 2 === 0) return held(m, g, out)
  return consumed(m, g, out, 4000 + (i % 7) * 2000, 9000 + (i % 5) * 7000)
}

const order = ['dead', 'delivered', 'offline', 'waiting', 'retrying', 'expired', 'unknown', 'skipped', 'scheduled', 'cancelled', 'filtered', 'consumed', 'not-subscribed']

export function makeLife(m, i, now, state, happenings) {
  const out = { messages: [m], deliveries: [], settlements: [], steps: [] }
  if (i % 2 === 0) out.steps.push({ ...step(m, '', m.producerClient, m.receivedMicros - 700, 3100, 1, 'Ok'), name: 'send', group: m.producerGroup, addr: m.producerAddr })
  const current = m.type === 'delay' ? scheduled(m, i, now, out) : m
  const none = { dueMicros: 0, retry: 0, maxRetries: 0, where: whereOf(current) }
  const verdicts = Object.keys(reads).map((g) => ({ ...none, ...verdictOf(current, g, i, out, now, state) }))
  verdicts.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || a.group.localeCompare(b.group))
  const lost = i % 41 === 8
  if (lost) m = out.messages[0] = { ...out.messages[0], syncedMicros: 0 }
  const life = {
    answer: 'found', ...out, traceId: m.traceIn || 'c1c6a2f0e04d7b7d39bb8a5c7d1f0a11', shippedToMicros: (now - 1100) * 1000,
    happenings: happenings.filter((h) => h.group && h.atMicros > m.appendedMicros).slice(0, 3),
    notRecorded: lost ? [{ atMicros: m.appendedMicros + 30_000, node: 'node-1', source: 'notes', from: 1, to: 2, fromMicros: m.appendedMicros + 20_000, toMicros: m.appendedMicros + 60_000, rows: 0, notRecorded: 14, reason: 'the notes log was removed before it was shipped', topic: m.topic }] : [],
  }
  const recorded = 4 * out.messages.length + out.deliveries.length + out.settlements.length + 1 - (lost ? 2 : 0)
  return { life, stored: m, stepsExpected: recorded + (lost ? 2 : 0), stepsRecorded: recorded, verdicts, lineage: lineage(life, now), records: records(life), leaders: leaders(life.messages[0], i), leadersReason: '', now, rebuilt: false }
}

/** Some messages live while the leader changes. */
function leaders(m, i) {
  if (i % 6 !== 3) return []
  const lead = (term, node, fromMicros, toMicros, gapMicros) => ({ broker: m.broker, term, node, fromMicros, toMicros, stopped: false, gapMicros })
  const end = m.appendedMicros + 2000
  return [lead(7, 'node-1', end - 3_600_000_000, end, 1_200_000), lead(8, 'node-2', end + 1_200_000, 0, 0)]
}

function lineage(life, now) {
  const role = (m) => (m.topic.startsWith('%DLQ%') ? 'dead' : m.originTopic ? 'retry' : m.timing === 'parked' ? 'scheduled' : m.timing || 'sent')
  const cancelled = life.steps.some((s) => s.name === 'cancel')
  return life.messages.map((m, n) => ({
    position: m.position, from: n ? life.messages[n - 1].position : 0, broker: m.broker, by: '', role: role(m), group: m.originTopic ? (m.realTopic || m.topic).replace(/^%\w+%/, '') : '', attempt: m.reconsumeTimes + 1, topic: m.topic, queueId: m.queueId, queueOffset: m.queueOffset, to: m.timing === 'parked' ? m.realTopic : '',
    atMicros: m.appendedMicros, dueMicros: m.dueMicros, lateMicros: m.timing === 'fired' ? m.appendedMicros - m.dueMicros : 0, state: m.timing !== 'parked' ? '' : life.messages[n + 1] ? 'fired' : cancelled ? 'cancelled' : m.dueMicros < now * 1000 ? 'overdue' : 'waits',
  }))
}

function records(life) {
  const m = life.messages[0]
  const base = { success: true, trace_type: 'Pub', timestamp: Math.floor(m.bornMicros / 1000), group_name: m.producerGroup, cost_time: 3, request_id: '', consume_status: -1, topic: m.topic, msg_id: m.id, offset_msg_id: m.offsetId, tags: m.tag, keys: m.keys.join(' '), store_host: '10.0.0.5:10911', client_host: m.producerAddr, retry_times: 0, body_length: m.bodyBytes, msg_type: { fifo: 'Order_Msg', delay: 'Delay_Msg', transaction: 'Trans_msg_Commit' }[m.type] ?? 'Normal_Msg', transaction_state: '', transaction_id: '', from_transaction_check: false }
  const out = [base, { ...base, trace_type: 'Receive', timestamp: Math.floor(m.receivedMicros / 1000), cost_time: 1 }]
  for (const d of life.deliveries) if (d.skipped.length === 0) out.push({ ...base, trace_type: 'SubBefore', timestamp: Math.floor(d.sentMicros / 1000), group_name: d.group, client_host: d.addr, cost_time: Math.floor(d.waitedMicros / 1000), retry_times: d.attempt - 1 })
  for (const s of life.steps) if (s.name === 'process') out.push({ ...base, trace_type: 'SubAfter', success: s.status !== 'Error', timestamp: Math.floor(s.atMicros / 1000), group_name: s.group, client_host: s.addr, cost_time: Math.floor(s.durationMicros / 1000), request_id: s.detail, consume_status: s.status === 'Error' ? 2 : 0, retry_times: s.attempt - 1 })
  for (const s of life.settlements) out.push({ ...base, trace_type: 'Ack', timestamp: Math.floor(s.atMicros / 1000), group_name: s.group, client_host: s.client, cost_time: 0 })
  return out
}
