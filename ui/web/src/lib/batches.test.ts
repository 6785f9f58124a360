import { describe, expect, it } from 'vitest'
import type { DeadLetter, ResentLetter } from '../api/types'
import { batchSize, gather, gatherMax, inBatches, tally } from './batches'

const refs = (n: number) => Array.from({ length: n }, (_, offset) => ({ broker: 'a', offset }))
const did = (offset: number, outcome = 'resent'): ResentLetter => ({ broker: 'a', offset, outcome, why: '', at: 1, topic: '', copyPosition: 2 })
const never = () => false

describe('letters in batches', () => {
  it('sends all, never more than the limit at a time, and tells how far it is', async () => {
    const sizes: number[] = []
    const told: number[] = []
    const out = await inBatches(refs(250), async (b) => (sizes.push(b.length), b.map((r) => did(r.offset))), (p) => told.push(p.done), never)
    expect(sizes).toEqual([batchSize, batchSize, 50])
    expect(told).toEqual([100, 200, 250])
    expect(out.map((o) => o.offset)).toEqual(refs(250).map((r) => r.offset))
  })
  it('asks again for what was not tried in time', async () => {
    let calls = 0
    const out = await inBatches(refs(3), async (b) => (calls++, b.map((r, i) => did(r.offset, i === 0 ? 'resent' : 'not-tried'))), () => {}, never)
    expect(calls).toBe(3)
    expect(tally(out)).toEqual([{ outcome: 'resent', n: 3 }])
  })
  it('ends when nothing moves any more', async () => {
    const out = await inBatches(refs(2), async (b) => b.map((r) => did(r.offset, 'not-tried')), () => {}, never)
    expect(tally(out)).toEqual([{ outcome: 'not-tried', n: 2 }])
  })
  it('stops between two batches, and says what was not tried', async () => {
    let sent = 0
    const out = await inBatches(refs(250), async (b) => ((sent += b.length), b.map((r) => did(r.offset))), () => {}, () => sent >= 100)
    expect(tally(out)).toEqual([{ outcome: 'resent', n: 100 }, { outcome: 'not-tried', n: 150 }])
  })
  it('does not know what became of a batch without an answer, and sends no other', async () => {
    let sent = 0
    const out = await inBatches(refs(250), async (b) => {
      if (sent++ === 1) throw new Error('reset')
      return b.map((r) => did(r.offset))
    }, () => {}, never)
    expect(sent).toBe(2)
    expect(tally(out)).toEqual([{ outcome: 'resent', n: 100 }, { outcome: 'unknown', n: 100 }, { outcome: 'not-tried', n: 50 }])
  })
})

it('gathers part after part, up to the limit of a run', async () => {
  const part = (all: number) => async (before?: string) => {
    const from = Number(before ?? 0)
    const to = Math.min(all, from + 1000)
    return { total: all, scanned: 1000, letters: refs(to - from) as DeadLetter[], next: to < all ? String(to) : '' }
  }
  expect(await gather(part(1500), never)).toMatchObject({ more: false, found: { length: 1500 } })
  expect(await gather(part(gatherMax), never)).toMatchObject({ more: false, found: { length: gatherMax } })
  expect(await gather(part(gatherMax + 1), never)).toMatchObject({ more: true, found: { length: gatherMax } })
})
