// Many letters in batches of a bounded size, with progress and a way to stop. Pure but for what it is given to call.
import type { LetterRef } from '../api/acts'
import type { DeadLetters, ResentLetter } from '../api/types'

export const batchSize = 100 // the most that the API takes at a time
export const gatherMax = 10_000 // letters of one run; the rest is a second run

export type Progress = { done: number; outcomes: ResentLetter[] }

/** Sends batch after batch until all are done or it is stopped. A batch without an answer ends it: its letters' outcome is not known. */
export async function inBatches(refs: LetterRef[], send: (batch: LetterRef[]) => Promise<ResentLetter[]>, told: (p: Progress) => void, stopped: () => boolean): Promise<ResentLetter[]> {
  const outcomes: ResentLetter[] = []
  let left = refs
  while (left.length > 0 && !stopped()) {
    const batch = left.slice(0, batchSize)
    let got: ResentLetter[]
    try {
      got = await send(batch)
    } catch (e) {
      const why = e instanceof Error ? e.message : String(e)
      outcomes.push(...batch.map((r) => none(r, 'unknown', why)))
      left = left.slice(batch.length)
      break
    }
    const tried = got.filter((r) => r.outcome !== 'not-tried')
    outcomes.push(...tried)
    left = [...batch.slice(tried.length), ...left.slice(batch.length)]
    told({ done: outcomes.length, outcomes })
    if (tried.length === 0) break // no progress: the broker is too slow to go on
  }
  outcomes.push(...left.map((r) => none(r, 'not-tried', '')))
  return outcomes
}

const none = (r: LetterRef, outcome: string, why: string): ResentLetter => ({ broker: r.broker, offset: r.offset, outcome, why, at: 0, topic: '', copyPosition: 0 })

/** All letters that match, up to gatherMax; more says that there are others. */
export async function gather(part: (before: string | undefined) => Promise<DeadLetters>, stopped: () => boolean) {
  const found: DeadLetters['letters'] = []
  let before: string | undefined
  for (;;) {
    if (stopped()) return { found, more: false }
    const p = await part(before)
    found.push(...p.letters)
    if (!p.next) return { found: found.slice(0, gatherMax), more: found.length > gatherMax }
    if (found.length >= gatherMax) return { found: found.slice(0, gatherMax), more: true }
    before = p.next
  }
}

/** Outcomes counted, in the order in which they are told. */
export const outcomeOrder = ['resent', 'already', 'missing', 'refused', 'unknown', 'not-tried'] as const

export function tally(outcomes: { outcome: string }[]): { outcome: string; n: number }[] {
  const n = new Map<string, number>()
  for (const o of outcomes) n.set(o.outcome, (n.get(o.outcome) ?? 0) + 1)
  const known = outcomeOrder as readonly string[]
  const rank = (x: string) => (known.includes(x) ? known.indexOf(x) : known.length)
  return [...n].map(([outcome, count]) => ({ outcome, n: count })).sort((a, b) => rank(a.outcome) - rank(b.outcome))
}
