import { describe, expect, it } from 'vitest'
import type { Group, ResetPlace } from '../api/types'
import { blocked, choices, cloned, movable, sums, wishOf, type Form } from './reset'

const form = (p: Partial<Form>): Form => ({ topic: '', queue: '', to: 'time', time: '', offset: '', ...p })

describe('a wish', () => {
  it('of the whole group needs a target only', () => {
    expect(wishOf(form({ to: 'earliest' }), undefined)).toEqual({ to: 'earliest' })
    expect(wishOf(form({ to: 'time' }), 1234.4)).toEqual({ to: 'time', storedMillis: 1234 })
  })
  it('is not complete without a time that can be read', () => expect(wishOf(form({ to: 'time' }), undefined)).toBeUndefined())
  it('names a queue with its broker group', () => expect(wishOf(form({ to: 'latest', topic: 't', queue: 'broker-a/3' }), 0)).toEqual({ to: 'latest', topic: 't', brokerGroup: 'broker-a', queueId: 3 }))
  it('to an offset is of one queue, and a whole number', () => {
    const at = (p: Partial<Form>) => wishOf(form({ to: 'offset', topic: 't', ...p }), 0)
    expect(at({ offset: '12' })).toBeUndefined()
    expect(at({ offset: '-1', queue: 'a/0' })).toBeUndefined()
    expect(at({ offset: '1.5', queue: 'a/0' })).toBeUndefined()
    expect(at({ offset: ' 12', queue: 'a/0' })).toEqual({ to: 'offset', topic: 't', brokerGroup: 'a', queueId: 0, offset: 12 })
  })
})

it('offers retries last, and the queues of the chosen topic', () => {
  const q = (topic: string, queueId: number) => ({ broker: 'a', topic, queueId })
  const group = { queues: [q('%RETRY%g', 0), q('z', 0), q('b', 0), q('b', 1)] } as Group
  expect(choices(group, 'b')).toEqual({ topics: ['b', 'z', '%RETRY%g'], queues: [{ broker: 'a', queueId: 0 }, { broker: 'a', queueId: 1 }] })
})

it('moves only what is not there already, and counts all', () => {
  const p = (committed: number, to: number, messagesAgain: number, messagesSkipped: number) => ({ committed, to, messagesAgain, messagesSkipped }) as ResetPlace
  const plan = [p(5, 2, 3, 0), p(4, 4, 0, 0), p(1, 9, 0, 8), p(-1, 0, 0, 0)]
  expect(movable(plan).length).toBe(3)
  expect(sums(plan)).toEqual({ again: 3, skipped: 8 })
})

it('shows what a clone would change, without queues where the source has no offset', () => {
  const q = (queueId: number, committed: number) => ({ broker: 'a', topic: 't', queueId, committed })
  const rows = cloned({ queues: [q(0, 5), q(1, -1), q(2, 7)] } as Group, { queues: [q(0, 9)] } as Group, '')
  expect(rows).toEqual([{ broker: 'a', topic: 't', queueId: 0, theirs: 5, ours: 9 }, { broker: 'a', topic: 't', queueId: 2, theirs: 7, ours: -1 }])
})

it('calls a head blocked when nothing moved for a while', () => {
  const q = (queueId: number, sinceAt?: number) => ({ queueId, head: sinceAt === undefined ? undefined : { sinceAt } })
  const group = { queues: [q(0), q(1, 99_000), q(2, 10_000), q(3, 50_000)] } as unknown as Group
  expect(blocked(group, 100_000).map((x) => x.queueId)).toEqual([2, 3])
})
