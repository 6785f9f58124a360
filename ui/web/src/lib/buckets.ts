// A histogram's bars over a range. Pure; times in µs.
import type { Bucket, Message } from '../api/types'

export type Bar = { from: number; to: number; count: number }

/** Bars of even width; counts that the server gave are put where they belong, else the rows at hand are counted. */
export function bars(range: { from: number; to: number }, given: Bucket[] | undefined, rows: Message[], n: number): Bar[] {
  const width = Math.max(1, (range.to - range.from) / n)
  const out = Array.from({ length: n }, (_, i) => ({ from: range.from + i * width, to: range.from + (i + 1) * width, count: 0 }))
  const put = (at: number, count: number) => {
    const i = Math.min(n - 1, Math.max(0, Math.floor((at - range.from) / width)))
    out[i].count += count
  }
  if (given?.length) for (const b of given) put(b.atMicros, b.count)
  else for (const m of rows) put(m.appendedMicros, 1)
  return out
}

/** How many bars suit what the server counted: as many as its own steps, so that none stays empty between two. */
export function barCount(range: { from: number; to: number }, given: Bucket[] | undefined, most: number): number {
  if (!given || given.length < 2) return most
  let step = Infinity
  for (let i = 1; i < given.length; i++) step = Math.min(step, given[i].atMicros - given[i - 1].atMicros)
  if (step <= 0) return most
  return Math.max(1, Math.min(most, Math.round((range.to - range.from) / step)))
}
