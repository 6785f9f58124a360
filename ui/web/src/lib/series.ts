// Samples to what a chart takes: one array of times (ms) and one of values per line. Pure.
import type { Point, Rate } from '../api/types'

export type Series = { x: number[]; lines: Record<string, (number | null)[]> }

/** The server's history and the live ticks after it, in the range. A hole longer than gap ms is a break in the line. */
export function fromPoints(history: Point[], ticks: Point[], from: number, to: number, gap = 15_000): Series {
  const last = history.at(-1)?.at ?? 0
  const points = [...history, ...ticks.filter((p) => p.at > last)].filter((p) => p.at >= from && p.at <= to)
  const x: number[] = []
  const lines: Record<string, (number | null)[]> = { in: [], out: [], bytesIn: [], bytesOut: [], lag: [] }
  const put = (at: number, p: Point | undefined) => {
    x.push(at)
    for (const k of Object.keys(lines)) lines[k].push(p ? p[k as keyof Point] : null)
  }
  points.forEach((p, i) => {
    if (i && p.at - points[i - 1].at > gap) put(points[i - 1].at + 1, undefined)
    put(p.at, p)
  })
  return { x, lines }
}

export type RateSeries = Series & { total: Record<string, number> }

/** Rates of the trail summed over topics and groups: counts and bytes per second; latency is the worst of them. */
export function fromRates(rates: Rate[], from: number, to: number, step: number, until = to): RateSeries {
  const start = Math.floor(from / step) * step
  const n = Math.max(1, Math.ceil((Math.min(to, until) - start) / step))
  const x = Array.from({ length: n }, (_, i) => start + i * step)
  const lines: Record<string, (number | null)[]> = {}
  const total: Record<string, number> = {}
  const line = (name: string, fill: number | null) => (lines[name] ??= new Array<number | null>(n).fill(fill))
  for (const name of ['store', 'deliver', 'ack', 'storeBytes', 'deliverBytes']) line(name, 0)
  for (const name of ['storeP99', 'deliverP99', 'processP99']) line(name, null)
  for (const r of rates) {
    const i = Math.floor((r.atMicros / 1000 - start) / step)
    if (i < 0 || i >= n) continue
    line(r.step, 0)[i]! += r.count / (step / 1000)
    line(r.step + 'Bytes', 0)[i]! += r.bytes / (step / 1000)
    if (r.p99Micros > 0) line(r.step + 'P99', null)[i] = Math.max(lines[r.step + 'P99']?.[i] ?? 0, r.p99Micros) // 0: it has no duration
    total[r.step] = (total[r.step] ?? 0) + r.count
  }
  return { x, lines, total }
}
