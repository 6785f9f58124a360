import { describe, expect, it } from 'vitest'
import { hostile, makeHappenings, makeMessages } from '../../../mock/data.mjs'
import { makeLife } from '../../../mock/life.mjs'
import type { Message, MessageLife } from '../../api/types'
import { ownerOf, userTopic } from '../copies'
import { en } from '../../i18n/en'
import { label, what } from '../../pages/message/words'
import { layout } from './layout'
import { build, steps, type Model } from './model'
import { merge, scale } from './scale'

const now = 1_795_561_200_000
const world = { ...makeMessages(now, 1200, 3600e3), many: 0 }
const lifeOf = (i: number) => makeLife(world.messages[i], i, now, world, makeHappenings(now)) as MessageLife
const find = (test: (m: MessageLife) => boolean) => world.messages.map((_: unknown, i: number) => lifeOf(i)).find(test)!
const plain = { item: () => 'some words', lane: () => '' }

describe('model', () => {
  it('tells a retried consumption as two attempts with a wait between', () => {
    const m = find((l) => l.verdicts.some((v) => v.group === 'billing' && v.attempts === 2 && v.state === 'consumed'))
    const lane = build(m).lanes.find((l) => l.id === 'billing')!
    expect(lane.items.map((i) => i.what)).toEqual(['ready', 'held', 'delivered', 'process', 'sentBack', 'ready', 'held', 'delivered', 'process', 'ack', 'retry'])
    expect(lane.items.find((i) => i.what === 'process')!.tone).toBe('bad')
    expect(lane.rows).toBe(1)
  })
  it('an offline group waits until now and says so', () => {
    const m = find((l) => l.verdicts.some((v) => v.state === 'offline'))
    const item = build(m).lanes.find((l) => l.id === 'audit')!.items[0]
    expect(item).toMatchObject({ what: 'waiting', shape: 'hatch', open: true, to: now * 1000 })
  })
  it('a filtered message is an instant, not a delivery', () => {
    const m = find((l) => l.verdicts.some((v) => v.state === 'filtered'))
    const group = m.verdicts.find((v) => v.state === 'filtered')!.group
    expect(build(m).lanes.find((l) => l.id === group)!.items.map((i) => i.what)).toEqual(['filtered'])
  })
  it('groups that do not subscribe get no lane but are named', () => {
    const m = find((l) => l.verdicts.some((v) => v.state === 'not-subscribed'))
    const model = build(m)
    for (const name of model.elsewhere) expect(model.lanes.some((l) => l.id === name)).toBe(false)
    expect(model.elsewhere.length).toBeGreaterThan(0)
  })
  it('an unrecorded sync is dashed, a hole is kept', () => {
    const m = find((l) => l.life.notRecorded.length > 0)
    const model = build(m)
    expect(model.lanes[1].items.some((i) => i.what === 'notRecorded' && i.shape === 'outline')).toBe(true)
    expect(model.holes.length).toBe(1)
  })
  it('without a client report the send is inferred, with one it is solid', () => {
    expect(build(lifeOf(1)).lanes[0].items[0].shape).toBe('outline')
    expect(build(lifeOf(2)).lanes[0].items[0].shape).toBe('bar')
  })
  it.each([0, -1])('a life rebuilt from the log alone (%i) invents no time', (none) => {
    const m = lifeOf(1)
    const copy = { ...m.life.messages[0], receivedMicros: none, syncedMicros: none, ackedMicros: none }
    const model = build({ ...m, life: { ...m.life, messages: [copy], steps: [], deliveries: [], settlements: [], notRecorded: [] }, verdicts: [] })
    expect(model.skew).toBe(0)
    expect(model.from).toBe(copy.bornMicros)
    expect(model.to - model.from).toBeLessThan(60e6)
    expect(model.lanes.flatMap((l) => l.items.map((i) => i.what))).toEqual(['notRecorded', 'notRecorded'])
  })
  it('a producer clock that is ahead does not bend the picture', () => {
    const m = lifeOf(1)
    const first = { ...m.life.messages[0] }
    first.bornMicros = first.receivedMicros + 5_000_000
    const model = build({ ...m, life: { ...m.life, messages: [first] } })
    expect(model.skew).toBe(5_000_000)
    expect(model.from).toBe(first.receivedMicros)
  })
  describe('a transaction', () => {
    const m = lifeOf(1)
    const sent = m.life.messages[0]
    const half = { ...sent, topic: 'RMQ_SYS_TRANS_HALF_TOPIC', timing: 'half', realTopic: sent.topic, realQueueId: 3, position: 10 } as Message
    const step = (name: string, at: number, client: string, detail = '') => ({ id: sent.id, name, topic: '', group: '', client, addr: '', atMicros: half.appendedMicros + at, durationMicros: 0, attempt: 1, status: 'Ok', error: '', source: 'broker', detail, position: 0, broker: half.broker, place: 10 })
    const life = (steps: ReturnType<typeof step>[]) => ({ ...m, life: { ...m.life, messages: [half], steps, deliveries: [], settlements: [] }, verdicts: [] }) as MessageLife
    it('waits until it is decided, and tells who was asked and who decided', () => {
      const items = build(life([step('check', 6e6, 'shop-1'), step('commit', 8e6, 'shop-1', 'check')])).lanes[1].items
      expect(items.find((i) => i.what === 'half')).toMatchObject({ open: false, shape: 'hatch', to: half.appendedMicros + 8e6, where: '3' })
      expect(items.filter((i) => i.shape === 'diamond').map((i) => what(i, en))).toEqual(['producer asked', 'committed in answer to a check'])
    })
    it('that is open waits until now', () => {
      expect(build(life([])).lanes[1].items.find((i) => i.what === 'half')).toMatchObject({ open: true, to: m.now * 1000 })
    })
  })
  it('a lease that expired ends an attempt, and is no acknowledgement', () => {
    const m = find((l) => l.verdicts.some((v) => v.group === 'billing' && v.state === 'consumed' && v.attempts === 1) && l.life.messages.length === 1)
    const settlements = m.life.settlements.map((s) => (s.group === 'billing' ? { ...s, outcome: 'lease-expired' } : s))
    const items = build({ ...m, life: { ...m.life, settlements } }).lanes.find((l) => l.id === 'billing')!.items
    expect(items.find((i) => i.what === 'leaseExpired')).toMatchObject({ shape: 'diamond', tone: 'warn' })
    expect(items.some((i) => i.what === 'ack')).toBe(false)
  })
  it('nothing known gives an empty picture', () => {
    const m = lifeOf(1)
    expect(build({ ...m, stored: null, life: { ...m.life, messages: [] } }).lanes).toEqual([])
  })
  it('tells who led within the life, and when nobody did', () => {
    const m = lifeOf(2)
    const { from, to } = build(m)
    const l = (term: number, a: number, b: number, gapMicros = 0) => ({ broker: 'b', term, node: `node-${term}`, fromMicros: a, toMicros: b, stopped: false, gapMicros })
    const lane = (leaders: MessageLife['leaders']) => build({ ...m, leaders }).lanes.find((x) => x.kind === 'leaders')
    expect(lane([])).toBeUndefined()
    const two = lane([l(7, from - 5e6, from + 100, 200), l(8, from + 300, 0)])!
    expect(two.items.map((i) => [i.what, i.from - from, i.to - from, i.row, !!i.open])).toEqual([['led', 0, 100, 0, false], ['nobody', 100, 300, 1, false], ['led', 300, to - from, 0, false]])
    const before = lane([l(7, from - 5e6, from - 1_200_000, 1_200_050), l(8, from + 50, 0)])!
    expect(before.items.map((i) => [i.what, i.from - from])).toEqual([['nobody', -1_200_000], ['led', 50]])
    expect(label(before.items[0], en)).toBe('nobody led · 1.20 s')
    const none = lane([l(7, from - 5e6, from + 100)])!
    expect(none.items[1]).toMatchObject({ what: 'nobody', shape: 'hatch', from: from + 100, to, open: true })
    expect(label(two.items[1], en)).toBe('nobody led · 200 µs')
    expect(label(two.items[0], en)).toBe('node-7 led in term 7')
  })
  it('names the slowest member where the message is accepted', () => {
    const m = lifeOf(1)
    const copy = m.life.messages[0]
    const items = build({ ...m, life: { ...m.life, messages: [{ ...copy, slowest: 3, committedMicros: copy.ackedMicros - 10 }] } }).lanes[1].items
    expect(label(items.find((i) => i.what === 'answer')!, en)).toMatch(/slowest: member 3$/)
    expect(what(items.find((i) => i.what === 'replicated')!, en)).toBe('on a majority of the members (slowest: member 3)')
  })
  it('keeps text as it is', () => expect(world.messages.some((m: { keys: string[] }) => m.keys[0] === hostile.key)).toBe(true))
})

describe('scale', () => {
  it('merges what overlaps', () => expect(merge([{ from: 5, to: 9 }, { from: 1, to: 6 }, { from: 20, to: 21 }])).toEqual([{ from: 1, to: 9 }, { from: 20, to: 21 }]))
  const busy = [{ from: 0, to: 30_000 }, { from: 10_000_000, to: 10_020_000 }]
  it('folds a gap longer than the work and keeps order', () => {
    const s = scale('fold', 0, 10_020_000, 1000, busy)
    expect(s.segments.map((x) => x.folded)).toEqual([false, true, false])
    expect(s.x(30_000)).toBeGreaterThan(400)
    expect(s.segments.at(-1)!.x1).toBeCloseTo(1000)
  })
  it('does not fold what is short', () => expect(scale('fold', 0, 60_000, 1000, [{ from: 0, to: 30_000 }, { from: 40_000, to: 60_000 }]).segments.length).toBe(1))
  for (const mode of ['linear', 'log', 'fold'] as const) {
    it(`${mode} is monotonous, inside the width, and inverts`, () => {
      const s = scale(mode, 0, 10_020_000, 1000, busy)
      let before = -1
      for (let t = 0; t <= 10_020_000; t += 3340) {
        const x = s.x(t)
        expect(x).toBeGreaterThanOrEqual(before)
        expect(x).toBeLessThanOrEqual(1000.001)
        expect(Math.abs(s.x(s.invert(x)) - x)).toBeLessThan(0.01)
        before = x
      }
    })
    it(`${mode} keeps ticks apart`, () => {
      const xs = scale(mode, 0, 10_020_000, 1000, busy).ticks.map((t) => t.x)
      for (let i = 1; i < xs.length; i++) expect(xs[i] - xs[i - 1]).toBeGreaterThan(50)
    })
  }
})

describe('layout', () => {
  it('keeps boxes in the picture and labels apart', () => {
    for (let i = 0; i < 300; i++) {
      for (const mode of ['linear', 'log', 'fold'] as const) {
        const l = layout(build(lifeOf(i)), mode, 900, plain)
        for (const b of l.lanes.flatMap((x) => x.boxes)) {
          expect(b.x).toBeGreaterThanOrEqual(0)
          expect(b.x + Math.max(0, b.w - 2)).toBeLessThanOrEqual(901)
        }
      }
    }
  })
  it('200 events in less than 50 ms', () => {
    const model = crowd(build(lifeOf(3)), 200)
    layout(model, 'fold', 1200, plain)
    const start = performance.now()
    layout(model, 'fold', 1200, plain)
    expect(performance.now() - start).toBeLessThan(50)
  })
})

function crowd(model: Model, n: number): Model {
  const lane = model.lanes.at(-1)!
  const first = lane.items[0] ?? model.lanes[1].items[0]
  const items = Array.from({ length: n }, (_, i) => ({ ...first, id: `x${i}`, shape: i % 2 ? ('bar' as const) : ('hatch' as const), from: model.from + i * 2_000_000, to: model.from + i * 2_000_000 + (i % 2 ? 90_000 : 1_800_000) }))
  const out = { ...model, to: model.from + n * 2_000_000, lanes: [...model.lanes.slice(0, -1), { ...lane, items }] }
  expect(steps(out).length).toBeGreaterThan(n)
  return out
}

describe('copies of one message', () => {
  const scheduled = (i: number) => (world.messages[i] as unknown as Message).type === 'delay'
  const at = (test: (m: MessageLife, i: number) => boolean) => world.messages.map((_: unknown, i: number) => i).filter(scheduled).map((i: number) => [lifeOf(i), i] as const).find(([m, i]: readonly [MessageLife, number]) => test(m, i))![0]
  it('a scheduled message waits in the broker’s lane until it is due, and is handed out after that', () => {
    const m = at((l) => l.life.messages.some((c) => c.timing === 'fired'))
    const model = build(m)
    const broker = model.lanes[1].items
    const wait = broker.find((i) => i.what === 'scheduled')!
    const fired = broker.find((i) => i.what === 'fired')!
    expect(wait).toMatchObject({ shape: 'hatch', to: fired.from, due: fired.due, late: fired.late, open: false })
    expect(fired).toMatchObject({ shape: 'diamond', late: fired.from - fired.due! })
    const ready = model.lanes.flatMap((l) => l.items).filter((i) => i.what === 'ready')
    expect(ready.length).toBeGreaterThan(0)
    for (const i of ready) expect(i.from).toBeGreaterThanOrEqual(fired.from)
  })
  it('one that is not due yet waits until now', () => {
    const m = at((l) => l.verdicts.some((v) => v.state === 'scheduled'))
    expect(build(m).lanes[1].items.find((i) => i.what === 'scheduled')).toMatchObject({ open: true, to: now * 1000, late: undefined })
  })
  it('a cancel ends the wait', () => {
    const broker = build(at((l) => l.verdicts.some((v) => v.state === 'cancelled'))).lanes[1].items
    const cancel = broker.find((i) => i.what === 'cancelled')!
    expect(broker.find((i) => i.what === 'scheduled')).toMatchObject({ open: false, to: cancel.from, due: cancel.due })
  })
  it('a retry waits in its group’s lane, with the time that was planned', () => {
    const m = find((l) => l.verdicts.some((v) => v.group === 'billing' && v.attempts === 2 && v.state === 'consumed'))
    const [waits, copy] = [m.life.messages[1], m.life.messages[2]]
    const model = build(m)
    expect(model.lanes.find((l) => l.id === 'billing')!.items.find((i) => i.what === 'retry')).toMatchObject({ from: waits.appendedMicros, to: copy.appendedMicros, due: waits.dueMicros, late: 1900, attempt: 2 })
    for (const l of model.lanes) if (l.kind === 'group' && l.id !== 'billing') expect(l.items.some((i) => i.what === 'retry')).toBe(false)
  })
  it('what was sent back is held no longer, and the offset that passes it later is no acknowledgement', () => {
    const m = find((l) => l.verdicts.some((v) => v.group === 'billing' && v.attempts === 2 && v.state === 'consumed'))
    const first = m.life.deliveries.find((d) => d.group === 'billing')!
    const late = { ...m.life.settlements[0], topic: first.topic, queueId: first.queueId, from: first.from, to: first.to, group: 'billing', atMicros: first.sentMicros + 3_000_000 }
    const items = build({ ...m, life: { ...m.life, settlements: [...m.life.settlements, late] } }).lanes.find((l) => l.id === 'billing')!.items
    const back = items.find((i) => i.what === 'sentBack')!
    expect(items.find((i) => i.what === 'held')!.to).toBe(back.from)
    expect(items.find((i) => i.what === 'passed')).toMatchObject({ from: late.atMicros, tone: 'none' })
    expect(items.filter((i) => i.what === 'ack').length).toBe(1)
  })
  it('a dead letter ends the story in its group’s lane', () => {
    const m = find((l) => l.verdicts.some((v) => v.state === 'dead'))
    const items = build(m).lanes.find((l) => l.id === 'billing')!.items
    expect(items.find((i) => i.what === 'dead')).toMatchObject({ tone: 'bad', shape: 'diamond', attempt: 2 })
    expect(items.filter((i) => i.what === 'delivered').length).toBe(2)
  })
  it('people know a copy by the topic that they sent it to', () => {
    const m = find((l) => l.verdicts.some((v) => v.state === 'dead'))
    expect(new Set(m.life.messages.map(userTopic))).toEqual(new Set([m.life.messages[0].topic]))
    expect(m.life.messages.map(ownerOf)).toEqual(['', 'billing', 'billing', 'billing'])
  })
})
