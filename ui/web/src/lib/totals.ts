// Rates from counters that only grow: what was seen at each poll, kept for as long as the page is open. Pure but for the memory.
export type Sample = { at: number; total: number }

const kept = 60
const recent = 12_000 // ms over which the shown rate is taken
const memory = new Map<string, Map<string, Sample[]>>()

/** Notes the totals of one poll. A total that fell is a broker that started anew: its history begins again. */
export function note(kind: string, at: number, totals: [string, number][]) {
  let names = memory.get(kind)
  if (!names) memory.set(kind, (names = new Map()))
  for (const [name, total] of totals) {
    const samples = names.get(name) ?? []
    const last = samples.at(-1)
    if (last && at <= last.at) continue
    if (last && total < last.total) samples.length = 0
    samples.push({ at, total })
    if (samples.length > kept) samples.shift()
    names.set(name, samples)
  }
}

export const samplesOf = (kind: string, name: string): Sample[] => memory.get(kind)?.get(name) ?? []

/** Per second over the last seconds; undefined until there were two polls. */
export function rateOf(samples: Sample[]): number | undefined {
  const last = samples.at(-1)
  if (!last || samples.length < 2) return undefined
  const first = samples.find((s) => last.at - s.at <= recent && s !== last) ?? samples[samples.length - 2]
  return ((last.total - first.total) * 1000) / (last.at - first.at)
}

/** One rate per pair of polls. */
export function trendOf(samples: Sample[]): number[] {
  return samples.slice(1).map((s, i) => ((s.total - samples[i].total) * 1000) / (s.at - samples[i].at))
}
