// From a message's life to lanes of items. Pure: no words, no pixels. Times in µs.
import type { Delivery, Leadership, Message, MessageLife, Settlement, Step, Verdict } from '../../api/types'
import { dead, destination, discarded, fired, half, hidden, lateMicros, ownerOf, successor } from '../copies'

export type Source = 'broker' | 'client' | 'inferred' | 'producer'
export type Tone = 'send' | 'own' | 'work' | 'ok' | 'warn' | 'bad' | 'none'
export type Shape = 'bar' | 'thin' | 'hatch' | 'outline' | 'diamond'
export type What =
  | 'send' | 'sendInferred' | 'receive' | 'sync' | 'replicated' | 'answer' | 'ready' | 'retry' | 'held' | 'unanswered' | 'process' | 'delivered' | 'filtered' | 'ack' | 'reset' | 'waiting' | 'notRecorded' | 'settled' | 'scheduled' | 'fired' | 'cancelled' | 'dead' | 'resent' | 'sentBack' | 'passed' | 'led' | 'nobody' | 'half' | 'check' | 'commit' | 'rollback' | 'discard' | 'leaseExpired' | 'invisibleChanged'

export type Item = {
  id: string
  lane: string
  what: What
  arg?: string
  shape: Shape
  tone: Tone
  from: number
  to: number
  open?: boolean // goes on now
  row: number // within its lane
  source: Source
  client?: string
  attempt?: number
  where?: string // queue : offset
  error?: string
  due?: number // when it was to be delivered, µs
  late?: number // how long after that it was
  raw: object
}

export type Lane = { id: string; kind: 'producer' | 'broker' | 'leaders' | 'group'; name: string; items: Item[]; rows: number; verdict?: Verdict }
export type Hole = { from: number; to: number; count: number; reason: string; raw: object }
export type Model = { lanes: Lane[]; from: number; to: number; holes: Hole[]; skew: number; shippedTo: number; elsewhere: string[] }

const waitWorthShowing = 1_000_000

export function copiesOf(m: MessageLife): Message[] {
  return (m.life.messages.length ? m.life.messages : m.stored ? [m.stored] : []).map(plain)
}

/** A moment that was not recorded comes as 0 or −1; here it is always 0. */
function plain(m: Message): Message {
  if (m.receivedMicros >= 0 && m.syncedMicros >= 0 && m.ackedMicros >= 0 && m.bornMicros >= 0) return m
  const known = (t: number) => Math.max(0, t)
  return { ...m, bornMicros: known(m.bornMicros), receivedMicros: known(m.receivedMicros), syncedMicros: known(m.syncedMicros), ackedMicros: known(m.ackedMicros) }
}

export function build(m: MessageLife): Model {
  const copies = copiesOf(m)
  const nowMicros = m.now * 1000
  const shown = m.verdicts.filter((v) => v.state !== 'not-subscribed')
  const lanes: Lane[] = []
  if (copies.length) {
    lanes.push({ id: 'producer', kind: 'producer', name: '', rows: 1, items: sends(copies[0], m.life.steps) })
    lanes.push({ id: 'broker', kind: 'broker', name: '', rows: 1, items: [...copies.flatMap(stored), ...copies.filter((c) => !ownerOf(c)).flatMap((c) => waits(c, copies, m, nowMicros)), ...cancels(m, copies), ...copies.filter(half).flatMap((c) => transaction(c, m, nowMicros))] })
    for (const v of shown) lanes.push(groupLane(v, copies, m, nowMicros))
  }
  const all = lanes.flatMap((l) => l.items)
  const begin = Math.min(...all.map((i) => i.from))
  const stop = Math.max(...all.map((i) => i.to), begin + 1)
  const leaders = all.length ? led(m.leaders, begin, stop) : []
  const from = Math.min(begin, ...leaders.map((i) => i.from)) // a time without a leader is shown whole
  const to = Math.max(stop, ...leaders.map((i) => i.to))
  if (leaders.length) lanes.splice(2, 0, { id: 'leaders', kind: 'leaders', name: '', rows: 2, items: leaders })
  return {
    lanes,
    from: all.length ? from : 0,
    to: all.length ? to : 1,
    holes: m.life.notRecorded.filter((h) => h.toMicros >= from && h.fromMicros <= to).map((h) => ({ from: Math.max(from, h.fromMicros), to: Math.min(to, h.toMicros), count: h.notRecorded, reason: h.reason, raw: h })),
    skew: copies.length && copies[0].receivedMicros ? Math.max(0, copies[0].bornMicros - copies[0].receivedMicros) : 0,
    shippedTo: m.life.shippedToMicros,
    elsewhere: m.verdicts.filter((v) => v.state === 'not-subscribed').map((v) => v.group),
  }
}

const place = (m: Message) => (hidden(m) ? String(m.realQueueId) : `${m.queueId} : ${m.queueOffset}`)
const end = (m: Message) => m.ackedMicros || m.syncedMicros || m.appendedMicros

function sends(m: Message, steps: Step[]): Item[] {
  const base = { lane: 'producer', row: 0, tone: 'send' as Tone, client: m.producerClient || m.producerAddr }
  const reported = steps.filter((s) => s.name === 'send')
  if (reported.length) {
    return reported.map((s, i) => ({
      ...base, id: `send${i}`, what: 'send', shape: 'bar', from: s.atMicros, to: s.atMicros + s.durationMicros, source: 'client', raw: s,
      ...(s.status === 'Error' ? { tone: 'bad' as Tone, error: s.error } : {}),
    }))
  }
  const taken = m.receivedMicros || m.appendedMicros
  const from = Math.min(m.bornMicros || taken, taken)
  if (!m.ackedMicros && !m.syncedMicros) return [{ ...base, id: 'send', what: 'notRecorded', shape: 'outline', tone: 'none', from, to: taken, source: 'inferred', raw: m }]
  return [{ ...base, id: 'send', what: 'sendInferred', shape: 'outline', from, to: end(m), source: 'producer', raw: m }]
}

function stored(m: Message, n: number): Item[] {
  const base = { lane: 'broker', row: 0, tone: 'own' as Tone, shape: 'thin' as Shape, source: 'broker' as Source, where: place(m), arg: ownerOf(m) ? destination(m) : discarded(m) ? m.topic : undefined, raw: m }
  if (fired(m) || m.timing === 'rolled') return firedItems(m, n, base)
  if (!m.receivedMicros) {
    return [{ ...base, id: `receive${n}`, what: 'notRecorded', shape: 'outline', tone: 'none', from: m.appendedMicros, to: m.ackedMicros || m.syncedMicros || m.appendedMicros }]
  }
  const items: Item[] = [{ ...base, id: `receive${n}`, what: 'receive', from: m.receivedMicros, to: m.appendedMicros }]
  if (m.syncedMicros) items.push({ ...base, id: `sync${n}`, what: 'sync', from: m.appendedMicros, to: m.syncedMicros })
  const majority = m.slowest && m.committedMicros ? m.committedMicros : 0 // several members: stored when a majority has it
  if (majority) items.push({ ...base, id: `replicated${n}`, what: 'replicated', arg: String(m.slowest), from: m.appendedMicros, to: majority })
  if (m.ackedMicros && m.syncedMicros) items.push({ ...base, id: `answer${n}`, what: 'answer', from: Math.min(Math.max(m.syncedMicros, majority), m.ackedMicros), to: m.ackedMicros })
  if (m.ackedMicros && !m.syncedMicros) items.push({ ...base, id: `sync${n}`, what: 'notRecorded', shape: 'outline', tone: 'none', source: 'inferred', from: m.appendedMicros, to: m.ackedMicros })
  return items
}

/** Nobody sent what the broker fired: it has a due time instead of a request. What was parked again is no step of its own. */
function firedItems(m: Message, n: number, base: Omit<Item, 'id' | 'what' | 'from' | 'to'>): Item[] {
  if (!fired(m)) return []
  const item: Item = { ...base, id: `fired${n}`, what: 'fired', shape: 'diamond', from: m.appendedMicros, to: m.appendedMicros, due: m.dueMicros, late: lateMicros(m) }
  return m.syncedMicros ? [item, { ...base, id: `sync${n}`, what: 'sync', from: m.appendedMicros, to: m.syncedMicros }] : [item]
}

/** A copy waits until it is fired, cancelled, or now. Retries wait in their group's lane. */
function waits(m: Message, copies: Message[], life: MessageLife, now: number): Item[] {
  if (m.timing !== 'parked') return []
  let last = m
  for (let next = successor(m, copies); next; next = fired(last) ? undefined : successor(last, copies)) last = next
  const cancelled = cancelsOf(life).find((s) => s.broker === m.broker && (s.place === m.position || s.place === last.position))
  const open = !fired(last) && !cancelled
  const until = fired(last) ? last.appendedMicros : (cancelled?.atMicros ?? now)
  const group = ownerOf(m)
  const from = group ? m.appendedMicros : end(m)
  return [
    {
      id: `wait${m.position}`, lane: group || 'broker', what: group ? 'retry' : 'scheduled', shape: 'hatch', tone: group ? 'work' : 'own', from, to: Math.max(until, from + 1), open, row: 0, source: 'broker', where: place(m),
      attempt: group ? m.reconsumeTimes + 1 : undefined, due: m.dueMicros, late: fired(last) ? lateMicros(last) : undefined, raw: m,
    },
  ]
}

const cancelsOf = (m: MessageLife) => m.life.steps.filter((s) => s.name === 'cancel')

function cancels(m: MessageLife, copies: Message[]): Item[] {
  return cancelsOf(m).map((s, n) => ({
    id: `cancel${n}`, lane: 'broker', what: 'cancelled', shape: 'diamond', tone: 'warn', from: s.atMicros, to: s.atMicros, row: 0, source: 'broker', client: s.client || undefined, due: copies.find((c) => c.position === s.place)?.dueMicros, raw: s,
  }))
}

const ends = ['commit', 'rollback', 'discard'] as const
const tones: Record<string, Tone> = { commit: 'ok', rollback: 'warn', discard: 'bad' }

/** A half message waits until its transaction ends, or now; its producer group may be asked meanwhile. */
function transaction(m: Message, life: MessageLife, now: number): Item[] {
  const base = { lane: 'broker', row: 0, source: 'broker' as Source, where: place(m) }
  const told = life.life.steps.filter((s) => s.broker === m.broker && s.place === m.position)
  const over = told.find((s) => ends.includes(s.name as (typeof ends)[number]))
  const items = told.map((s, n): Item => ({
    ...base, id: `txn${m.position}.${n}`, what: s.name as What, arg: s.detail, shape: 'diamond', tone: s.name === 'check' ? (s.client ? 'own' : 'warn') : tones[s.name], from: s.atMicros, to: s.atMicros,
    client: s.client || undefined, attempt: s.name === 'check' ? s.attempt : undefined, error: s.error || undefined, raw: s,
  }))
  const until = over?.atMicros ?? now
  return [{ ...base, id: `half${m.position}`, what: 'half', shape: 'hatch', tone: 'own', from: end(m), to: Math.max(until, end(m) + 1), open: !over, raw: m }, ...items]
}

/** Who led the broker group within the life, and below that when nobody did. The last one that is known to have ended has no successor. */
function led(list: Leadership[], from: number, to: number): Item[] {
  const base = { lane: 'leaders', source: 'broker' as Source }
  const items = list.flatMap((l, n): Item[] => {
    const until = l.toMicros || to
    const open = n === list.length - 1 && l.toMicros > 0
    const next = open ? to : until + l.gapMicros
    return [
      { ...base, id: `led${l.term}`, what: 'led', shape: 'bar', tone: 'own', from: Math.max(from, l.fromMicros), to: Math.min(to, until), row: 0, raw: l },
      { ...base, id: `nobody${l.term}`, what: 'nobody', shape: 'hatch', tone: 'bad', from: until, to: next, open, row: 1, raw: l },
    ]
  })
  return items.filter((i) => i.to > Math.max(i.from, from) && i.from < to)
}

type Given = { delivery: Delivery; copy: Message; skipped: boolean }

function given(group: string, copies: Message[], deliveries: Delivery[]): Given[] {
  const out: Given[] = []
  for (const delivery of deliveries) {
    if (delivery.group !== group) continue
    const copy = copies.find((c) => c.topic === delivery.topic && c.queueId === delivery.queueId && delivery.from <= c.queueOffset && c.queueOffset < delivery.to)
    if (copy) out.push({ delivery, copy, skipped: delivery.skipped.includes(copy.queueOffset) })
  }
  return out.sort((a, b) => a.delivery.sentMicros - b.delivery.sentMicros)
}

/** Outcomes that say a message was not consumed; what was sent back shows as its next copy. */
const undone: Record<string, What> = { 'sent-back': 'sentBack', 'lease-expired': 'leaseExpired', 'invisible-changed': 'invisibleChanged' }

const holds = (s: Settlement, group: string, c: Message) => s.group === group && s.topic === c.topic && s.queueId === c.queueId && s.from <= c.queueOffset && c.queueOffset < s.to

function groupLane(v: Verdict, copies: Message[], m: MessageLife, now: number): Lane {
  const own = copies.filter((c) => !ownerOf(c) || ownerOf(c) === v.group)
  const all = given(v.group, own, m.life.deliveries)
  const handed = all.filter((g) => !g.skipped)
  const used = new Set<object>()
  const items: Item[] = []
  let ready = 0
  const rows: number[] = []
  handed.forEach((g, n) => {
    const until = handed[n + 1]?.delivery.sentMicros ?? Infinity
    const made = attempt(v, g, n, until, m, now, used, sentBack(g, own))
    const row = firstFree(rows, g.delivery.sentMicros)
    rows[row] = made.end
    const anew = !ready || fired(g.copy) || !!g.copy.resentFrom // what waited until it was due is a wait of its own
    const wait: Item = { id: `${v.group}/wait${n}`, lane: v.group, what: anew ? 'ready' : 'retry', shape: 'hatch', tone: 'work', from: Math.min(anew ? end(g.copy) : ready, g.delivery.sentMicros), to: g.delivery.sentMicros, row, source: 'broker', where: place(g.copy), attempt: n + 1, raw: g.delivery }
    if (wait.to > wait.from) items.push(wait)
    items.push(...made.items.map((i) => ({ ...i, row })))
    ready = Math.min(made.end, until)
  })
  items.push(...passedOver(v, all.filter((g) => g.skipped)), ...loose(v, own, m, used), ...own.filter(ownerOf).flatMap((c) => [...waits(c, own, m, now), ...fate(c, v.group)]))
  const at = own.find((c) => c.position === v.where.position) ?? own[0]
  if ((v.state === 'waiting' || v.state === 'offline') && at && !handed.some((g) => g.copy === at)) {
    items.push({ id: `${v.group}/waiting`, lane: v.group, what: 'waiting', shape: 'hatch', tone: v.state === 'offline' ? 'warn' : 'work', from: end(at), to: Math.max(now, end(at) + 1), open: true, row: 0, source: 'broker', where: place(at), raw: v })
  }
  return { id: v.group, kind: 'group', name: v.group, items, rows: Math.max(1, rows.length), verdict: v }
}

/** It became a dead letter, or one was given to the group again. */
function fate(m: Message, group: string): Item[] {
  const base = { lane: group, shape: 'diamond' as Shape, from: m.appendedMicros, to: m.appendedMicros, row: 0, source: 'broker' as Source, where: place(m), raw: m }
  if (dead(m)) return [{ ...base, id: `dead${m.position}`, what: 'dead', tone: 'bad', attempt: m.reconsumeTimes }]
  return m.resentFrom ? [{ ...base, id: `resent${m.position}`, what: 'resent', tone: 'work', client: m.resentBy || undefined }] : []
}

function firstFree(rows: number[], from: number): number {
  const free = rows.findIndex((end) => end <= from)
  return free < 0 ? rows.length : free
}

/** The copy that was stored because this delivery failed. The group's offset goes over the message all the same, later. */
const sentBack = (g: Given, own: Message[]) => own.find((c) => ownerOf(c) === g.delivery.group && c.reconsumeTimes === g.copy.reconsumeTimes + 1 && !fired(c) && c.appendedMicros >= g.delivery.sentMicros && !own.some((x) => x.resentFrom && x.position > g.copy.position && x.position < c.position))

function attempt(v: Verdict, g: Given, n: number, until: number, m: MessageLife, now: number, used: Set<object>, back?: Message): { items: Item[]; end: number } {
  const { delivery: d, copy } = g
  const base = { lane: v.group, row: 0, client: d.client, attempt: d.attempt || n + 1, where: place(copy) }
  const said = m.life.settlements.filter((s) => !used.has(s) && holds(s, v.group, copy) && s.atMicros >= d.sentMicros && s.atMicros < until)
  const settlement = said.find((s) => !undone[s.outcome])
  const failed = said.filter((s) => undone[s.outcome])
  const work = m.life.steps.filter((s) => s.group === v.group && s.name !== 'send' && !s.place && !used.has(s) && s.atMicros >= d.sentMicros - waitWorthShowing && s.atMicros < until && (!s.client || s.client === d.client))
  const worked = Math.max(0, ...work.map((s) => s.atMicros + s.durationMicros))
  const open = !settlement && !failed.length && !worked && until === Infinity && v.state === 'delivered'
  const known = back?.appendedMicros ?? settlement?.atMicros ?? failed[0]?.atMicros ?? (worked || (open ? now : until === Infinity ? d.sentMicros : until))
  const stop = Math.max(known, d.sentMicros)
  const items: Item[] = []
  if (stop > d.sentMicros) items.push({ ...base, id: `${v.group}/held${n}`, what: open ? 'unanswered' : 'held', shape: 'outline', tone: 'work', from: d.sentMicros, to: stop, open, source: 'inferred', raw: d })
  items.push({ ...base, id: `${v.group}/sent${n}`, what: 'delivered', shape: 'diamond', tone: 'work', from: d.sentMicros, to: d.sentMicros, source: 'broker', raw: d })
  work.forEach((s, k) => {
    used.add(s)
    items.push({ ...base, id: `${v.group}/work${n}.${k}`, what: 'process', shape: 'bar', tone: s.status === 'Error' ? 'bad' : 'work', from: s.atMicros, to: s.atMicros + s.durationMicros, source: 'client', error: s.error || undefined, raw: s })
  })
  if (settlement) {
    used.add(settlement)
    const ack = settled(settlement, v.group, `${v.group}/ack${n}`, place(copy))
    items.push(back ? { ...ack, what: 'passed', tone: 'none' } : ack)
  }
  failed.forEach((s, k) => {
    used.add(s)
    if (!back || s.outcome !== 'sent-back') items.push({ ...settled(s, v.group, `${v.group}/undone${n}.${k}`, place(copy)), attempt: base.attempt })
  })
  if (back && !dead(back)) items.push({ ...base, id: `${v.group}/back${n}`, what: 'sentBack', shape: 'diamond', tone: 'warn', from: back.appendedMicros, to: back.appendedMicros, source: 'broker', raw: back })
  return { items, end: stop }
}

function settled(s: Settlement, lane: string, id: string, where: string): Item {
  const what: What = s.outcome === 'acknowledged' ? 'ack' : s.outcome === 'reset' ? 'reset' : (undone[s.outcome] ?? 'settled')
  return { id, lane, what, arg: s.outcome, shape: 'diamond', tone: what === 'ack' ? 'ok' : 'warn', from: s.atMicros, to: s.atMicros, row: 0, source: 'broker', client: s.client, where, raw: s }
}

function passedOver(v: Verdict, skipped: Given[]): Item[] {
  return skipped.map((g, n) => ({
    id: `${v.group}/filtered${n}`, lane: v.group, what: 'filtered', arg: g.delivery.subscription, shape: 'diamond', tone: 'none', from: g.delivery.sentMicros, to: g.delivery.sentMicros, row: 0, source: 'broker', client: g.delivery.client, where: place(g.copy), raw: g.delivery,
  }))
}

/** Settlements and reports that belong to no recorded delivery. */
function loose(v: Verdict, copies: Message[], m: MessageLife, used: Set<object>): Item[] {
  const items: Item[] = []
  for (const c of copies) {
    for (const s of m.life.settlements) {
      if (used.has(s) || !holds(s, v.group, c)) continue
      used.add(s)
      items.push(settled(s, v.group, `${v.group}/settled${items.length}`, place(c)))
    }
  }
  for (const s of m.life.steps) {
    if (used.has(s) || s.group !== v.group || s.name === 'send' || s.place) continue
    used.add(s)
    items.push({ id: `${v.group}/step${items.length}`, lane: v.group, what: 'process', shape: s.durationMicros ? 'bar' : 'diamond', tone: s.status === 'Error' ? 'bad' : 'work', from: s.atMicros, to: s.atMicros + s.durationMicros, row: 0, source: s.source === 'client' ? 'client' : 'broker', client: s.client, attempt: s.attempt || undefined, error: s.error || undefined, raw: s })
  }
  return items
}

/** All items as steps in the order of time, waits left out where they say nothing of their own. */
export function steps(model: Model): Item[] {
  return model.lanes.flatMap((l) => l.items).sort((a, b) => a.from - b.from || a.to - b.to)
}
