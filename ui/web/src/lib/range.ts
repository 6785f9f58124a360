// A time range is relative ("last 15 min", and stays so) or absolute. Pure.
export type Range = { last: string } | { from: number; to: number }

export const presets = ['5m', '15m', '1h', '6h', '24h', '7d', '30d']
export const standard: Range = { last: '15m' }

const units: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 }

export function lengthOf(last: string): number | undefined {
  const m = /^(\d{1,5})([smhd])$/.exec(last)
  return m ? Number(m[1]) * units[m[2]] : undefined
}

export function fromUrl(p: Record<string, string | undefined>): Range {
  const from = Number(p.from)
  const to = Number(p.to)
  if (p.from && p.to && from < to) return { from, to }
  return p.last && lengthOf(p.last) ? { last: p.last } : standard
}

export function toUrl(r: Range): { last?: string; from?: string; to?: string } {
  if ('last' in r) return { last: r.last === '15m' ? undefined : r.last, from: undefined, to: undefined }
  return { last: undefined, from: String(Math.round(r.from)), to: String(Math.round(r.to)) }
}

export function resolve(r: Range, now: number): { from: number; to: number } {
  return 'last' in r ? { from: now - lengthOf(r.last)!, to: now } : r
}

/** The window before or after; a relative range becomes absolute, and relative again when it reaches now. */
export function shift(r: Range, steps: number, now: number): Range {
  const { from, to } = resolve(r, now)
  const length = to - from
  if (to + steps * length >= now) return 'last' in r ? r : { from: now - length, to: now }
  return { from: from + steps * length, to: to + steps * length }
}

export function zoom(r: Range, factor: number, now: number): Range {
  const { from, to } = resolve(r, now)
  const length = Math.max(1000, (to - from) * factor)
  if ('last' in r) {
    const seconds = Math.min(99999, Math.max(1, Math.round(length / 1000)))
    return { last: seconds % 60 ? `${seconds}s` : `${seconds / 60}m` }
  }
  const middle = (from + to) / 2
  return { from: middle - length / 2, to: Math.min(now, middle + length / 2) }
}

const nice = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400]

/** A step in ms that cuts a length into at most n parts, at least a minute: the trail's own grain. */
export function stepFor(length: number, n: number, least = 60): number {
  const s = nice.find((v) => v >= least && length / 1000 / v <= n) ?? 86400
  return s * 1000
}
