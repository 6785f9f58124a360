// The stored copies of one message: which topic people know it by, whose retry it is, and what came of what waits. Pure.
import type { Message } from '../api/types'

export const parked = (m: Message) => m.timing === 'parked' || m.timing === 'rolled'
export const half = (m: Message) => m.timing === 'half'
export const discarded = (m: Message) => m.timing === 'discarded'
export const fired = (m: Message) => m.timing === 'fired'

/** A copy stands in a topic of the broker's own; no group is handed it there. */
export const hidden = (m: Message) => parked(m) || half(m) || discarded(m)

/** The topic that a copy is in, or waits for. */
export const destination = (m: Message) => (hidden(m) ? m.realTopic : m.topic)

/** The topic that people know the message by. */
export const userTopic = (m: Message) => m.originTopic || destination(m)

/** The group whose retry or dead letter a copy is. */
export function ownerOf(m: Message): string {
  if (m.popGroup) return m.popGroup
  const to = destination(m)
  return to.startsWith('%RETRY%') ? to.slice(7) : to.startsWith('%DLQ%') ? to.slice(5) : ''
}

export const dead = (m: Message) => m.topic.startsWith('%DLQ%')

export const lateMicros = (m: Message) => (fired(m) ? Math.max(0, m.appendedMicros - m.dueMicros) : 0)

const sameWait = (a: Message, b: Message) => destination(a) === destination(b) && a.reconsumeTimes === b.reconsumeTimes && a.broker === b.broker

/** The copy that was made of a waiting one: fired, or parked again. */
export const successor = (m: Message, copies: Message[]) => copies.find((c) => c.position > m.position && sameWait(m, c) && (fired(c) || c.timing === 'rolled'))
