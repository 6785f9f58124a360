// Time to pixels: linear, logarithmic, or with long gaps folded. Pure. Times in µs.
export type Mode = 'linear' | 'log' | 'fold'
export type Interval = { from: number; to: number }
export type Segment = Interval & { x0: number; x1: number; folded: boolean }
export type Tick = { x: number; at: number; since?: number } // since the start of a later part, where that says more
export type Scale = { mode: Mode; x: (t: number) => number; invert: (x: number) => number; segments: Segment[]; ticks: Tick[] }

const foldWidth = 80
const leastSegment = 16
const tickSpace = 84

export function scale(mode: Mode, from: number, to: number, width: number, busy: Interval[]): Scale {
  if (mode === 'log') return logarithmic(from, to, width)
  const segments = mode === 'fold' ? fold(from, to, width, busy) : [{ from, to, x0: 0, x1: width, folded: false }]
  return { mode, segments, ticks: ticks(segments, from), x: (t) => forward(segments, t), invert: (x) => backward(segments, x) }
}

function forward(segments: Segment[], t: number): number {
  const s = segments.find((g) => t <= g.to) ?? segments[segments.length - 1]
  const share = s.to === s.from ? 0 : Math.min(1, Math.max(0, (t - s.from) / (s.to - s.from)))
  return s.x0 + share * (s.x1 - s.x0)
}

function backward(segments: Segment[], x: number): number {
  const s = segments.find((g) => x <= g.x1) ?? segments[segments.length - 1]
  const share = s.x1 === s.x0 ? 0 : Math.min(1, Math.max(0, (x - s.x0) / (s.x1 - s.x0)))
  return s.from + share * (s.to - s.from)
}

export function merge(intervals: Interval[]): Interval[] {
  const sorted = intervals.toSorted((a, b) => a.from - b.from)
  const out: Interval[] = []
  for (const i of sorted) {
    const last = out.at(-1)
    if (last && i.from <= last.to) last.to = Math.max(last.to, i.to)
    else out.push({ ...i })
  }
  return out
}

/** A gap longer than all the work is folded. */
function fold(from: number, to: number, width: number, busy: Interval[]): Segment[] {
  const islands = merge([...busy, { from, to: from }, { from: to, to }])
  const work = Math.max(1, islands.reduce((n, i) => n + i.to - i.from, 0))
  const parts: (Interval & { folded: boolean })[] = []
  for (const i of islands) {
    const last = parts.at(-1)
    if (last && i.from - last.to > work) parts.push({ from: last.to, to: i.from, folded: true }, { ...i, folded: false })
    else if (last) last.to = i.to
    else parts.push({ ...i, folded: false })
  }
  return lay(parts, width)
}

function lay(parts: (Interval & { folded: boolean })[], width: number): Segment[] {
  const folds = parts.filter((p) => p.folded).length
  const open = parts.length - folds
  const f = folds ? Math.min(foldWidth, (width * 0.5) / folds) : 0
  const least = Math.min(leastSegment, (width * 0.3) / open)
  const shared = Math.max(0, width - folds * f - open * least)
  const length = Math.max(1, parts.reduce((n, p) => n + (p.folded ? 0 : p.to - p.from), 0))
  let x = 0
  return parts.map((p) => {
    const w = p.folded ? f : least + (shared * (p.to - p.from)) / length
    const s = { ...p, x0: x, x1: x + w }
    x += w
    return s
  })
}

const nice = [1, 2, 5]

function stepOf(length: number, room: number): number {
  const least = length / Math.max(1, Math.floor(room / tickSpace))
  for (let power = 1; ; power *= 10) for (const n of nice) if (n * power >= least) return n * power
}

function ticks(segments: Segment[], zero: number): Tick[] {
  const out: Tick[] = []
  let free = -Infinity
  const put = (x: number, at: number, since?: number) => {
    if (x < free) return
    out.push({ x, at: at - zero, since })
    free = x + tickSpace
  }
  segments.forEach((s, n) => {
    if (s.folded) return
    put(s.x0, s.from)
    if (s.to === s.from) return
    const step = stepOf(s.to - s.from, s.x1 - s.x0)
    for (let d = step; s.from + d <= s.to; d += step) put(s.x0 + (d / (s.to - s.from)) * (s.x1 - s.x0), s.from + d, n ? d : undefined)
  })
  return out
}

const unit = 100 // µs: below it the logarithmic scale is nearly linear

function logarithmic(from: number, to: number, width: number): Scale {
  const top = Math.log10(1 + (to - from) / unit)
  const x = (t: number) => (Math.log10(1 + Math.max(0, Math.min(to, t) - from) / unit) / top) * width
  const out: Tick[] = [{ x: 0, at: 0 }]
  for (let at = 1000; at <= to - from; at *= 10) if (x(from + at) - out[out.length - 1].x >= tickSpace * 0.7) out.push({ x: x(from + at), at })
  return { mode: 'log', x, invert: (px) => from + (10 ** ((Math.min(width, Math.max(0, px)) / width) * top) - 1) * unit, segments: [{ from, to, x0: 0, x1: width, folded: false }], ticks: out }
}
