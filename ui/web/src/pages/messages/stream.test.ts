import { expect, it } from 'vitest'
import type { Matches, Message } from '../../api/types'
import { reduce, type Found } from './stream'

const idle: Found = { state: 'idle', messages: [], fresh: true, at: 0, from: 0, to: 0 }
const m = (queueOffset: number) => ({ position: queueOffset, queueId: 0, queueOffset, topic: 't' }) as Message
const done = (more: Partial<Matches>) => ({ answer: 'found', messages: [], rowsRead: 1, bytesRead: 1, elapsedMicros: 1, histogram: [], ...more }) as Matches
const start = { kind: 'start', from: 0, to: 1, older: false } as const

it('old rows stay until the first new ones come', () => {
  let s = reduce({ ...idle, messages: [m(1)] }, start)
  expect([s.messages.length, s.fresh]).toEqual([1, false])
  s = reduce(s, { kind: 'line', line: { messages: [m(2)] } })
  expect([s.messages.map((x) => x.queueOffset), s.fresh]).toEqual([[2], true])
})

it('an empty answer clears old rows', () => {
  const s = reduce(reduce({ ...idle, messages: [m(1)] }, start), { kind: 'line', line: { done: done({ answer: 'nothing' }) } })
  expect(s.messages).toEqual([])
})

it('rows that come twice are shown once', () => {
  let s = reduce(idle, start)
  s = reduce(s, { kind: 'line', line: { messages: [m(2), m(1)] } })
  s = reduce(s, { kind: 'line', line: { done: done({ messages: [m(2), m(1)] }) } })
  expect(s.messages.length).toBe(2)
  expect(reduce(s, { kind: 'end' }).state).toBe('done')
})

it('an end without the last line is not an answer', () => expect(reduce(reduce(idle, start), { kind: 'end' }).state).toBe('stopped'))

it('older rows are added below', () => {
  let s = reduce({ ...idle, state: 'done', messages: [m(9)], done: done({ next: 'c' }) }, { ...start, older: true })
  s = reduce(s, { kind: 'line', line: { messages: [m(8)] } })
  expect(s.messages.map((x) => x.queueOffset)).toEqual([9, 8])
})
