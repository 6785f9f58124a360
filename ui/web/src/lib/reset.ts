// What a person asks of a reset, as the API has it, and what a plan means. Pure.
import type { Group, ResetPlace, ResetWish } from '../api/types'

export type Form = { topic: string; queue: string; to: 'time' | 'earliest' | 'latest' | 'offset'; time: string; offset: string }

const retry = '%RETRY%'

/** Topics that a group reads, and its queues in one of them. */
export function choices(group: Group, topic: string) {
  const all = group.queues ?? []
  const topics = [...new Set(all.map((q) => q.topic))].sort((a, b) => Number(a.startsWith(retry)) - Number(b.startsWith(retry)) || (a < b ? -1 : 1))
  const queues = all.filter((q) => q.topic === topic).map(({ broker, queueId }) => ({ broker, queueId }))
  return { topics, queues }
}

/** undefined: something is missing yet. */
export function wishOf(f: Form, millis: number | undefined): ResetWish | undefined {
  const wish: ResetWish = { to: f.to }
  if (f.topic) wish.topic = f.topic
  if (f.queue) {
    const at = f.queue.lastIndexOf('/')
    wish.brokerGroup = f.queue.slice(0, at)
    wish.queueId = Number(f.queue.slice(at + 1))
  }
  if (f.to === 'time') {
    if (!millis || millis <= 0) return undefined
    wish.storedMillis = Math.round(millis)
  }
  if (f.to === 'offset') {
    if (!/^\d{1,18}$/.test(f.offset.trim()) || !f.queue) return undefined
    wish.offset = Number(f.offset)
  }
  return wish
}

/** The queues that would be somewhere else. */
export const movable = (queues: ResetPlace[]) => queues.filter((q) => q.to !== q.committed)

export function sums(queues: ResetPlace[]) {
  return { again: queues.reduce((n, q) => n + q.messagesAgain, 0), skipped: queues.reduce((n, q) => n + q.messagesSkipped, 0) }
}

/** What a clone would change: the source's offsets beside a group's own. */
export function cloned(source: Group, group: Group, topic: string) {
  const own = new Map((group.queues ?? []).map((q) => [`${q.broker}/${q.topic}/${q.queueId}`, q.committed]))
  return (source.queues ?? [])
    .filter((q) => q.committed >= 0 && (!topic || q.topic === topic))
    .map((q) => ({ broker: q.broker, topic: q.topic, queueId: q.queueId, theirs: q.committed, ours: own.get(`${q.broker}/${q.topic}/${q.queueId}`) ?? -1 }))
}

const blockedFrom = 15_000 // ms for which nothing moved: clients commit every 5 s

/** The queues whose first message holds up the others, the longest first. */
export const blocked = (group: Group, now: number) => (group.queues ?? []).filter((q) => q.head && now - q.head.sinceAt >= blockedFrom).sort((a, b) => a.head!.sinceAt - b.head!.sinceAt)
