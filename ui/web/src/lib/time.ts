// Times as text, and text as times. All in ms unless a name says micros. Pure.
export type Zone = 'local' | 'utc'

const two = (n: number) => String(n).padStart(2, '0')
const three = (n: number) => String(n).padStart(3, '0')

function parts(ms: number, zone: Zone) {
  const d = new Date(ms)
  return zone === 'utc'
    ? { y: d.getUTCFullYear(), mo: d.getUTCMonth() + 1, d: d.getUTCDate(), h: d.getUTCHours(), mi: d.getUTCMinutes(), s: d.getUTCSeconds(), ms: d.getUTCMilliseconds() }
    : { y: d.getFullYear(), mo: d.getMonth() + 1, d: d.getDate(), h: d.getHours(), mi: d.getMinutes(), s: d.getSeconds(), ms: d.getMilliseconds() }
}

export function date(ms: number, zone: Zone): string {
  const p = parts(ms, zone)
  return `${p.y}-${two(p.mo)}-${two(p.d)}`
}

export type Precision = 'min' | 's' | 'ms' | 'us'

export function clock(ms: number, zone: Zone, precision: Precision = 'ms'): string {
  const p = parts(ms, zone)
  let s = `${two(p.h)}:${two(p.mi)}`
  if (precision !== 'min') s += `:${two(p.s)}`
  if (precision === 'ms') s += `.${three(p.ms)}`
  if (precision === 'us') s += `.${three(p.ms)}${three(Math.floor((ms % 1) * 1000 + 0.5) % 1000)}`
  return s
}

export const clockMicros = (micros: number, zone: Zone) => clock(Math.floor(micros / 1000), zone, 's') + '.' + String(micros % 1e6).padStart(6, '0')

/** Clock time, with the date when it is not today's. */
export function stamp(ms: number, zone: Zone, now: number, precision: Precision = 's'): string {
  const day = date(ms, zone)
  return day === date(now, zone) ? clock(ms, zone, precision) : `${day} ${clock(ms, zone, precision)}`
}

export function offsetName(ms: number): string {
  const m = -new Date(ms).getTimezoneOffset()
  const a = Math.abs(m)
  return `UTC${m < 0 ? '\u2212' : '+'}${Math.floor(a / 60)}${a % 60 ? ':' + two(a % 60) : ''}`
}

export const iso = (ms: number) => new Date(ms).toISOString()

/** Understands epoch seconds, ms, µs, ns, ISO text, and "2026-11-24 14:03" or "14:03:02" in the zone. */
export function parseTime(text: string, zone: Zone, now: number): number | undefined {
  const s = text.trim()
  if (/^\d{9,19}(\.\d+)?$/.test(s)) return epoch(Number(s), s.split('.')[0].length)
  const clockOnly = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6}))?)?$/.exec(s)
  if (clockOnly) return parseTime(`${date(now, zone)} ${s.padStart(5, '0')}`, zone, now)
  const full = /^(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?$/.exec(s)
  if (full) return fromParts(full, zone)
  const parsed = /^\d{4}-\d{2}-\d{2}T/.test(s) ? Date.parse(s) : NaN
  return Number.isNaN(parsed) ? undefined : parsed
}

function epoch(v: number, length: number): number {
  if (length >= 18) return v / 1e6
  if (length >= 15) return v / 1e3
  return length >= 12 ? v : v * 1000
}

function fromParts(m: RegExpExecArray, zone: Zone): number {
  const [y, mo, d, h, mi, s] = m.slice(1, 7).map((v) => Number(v ?? 0))
  const ms = m[7] ? Number(('0.' + m[7]).slice(0, 5)) * 1000 : 0
  return zone === 'utc' ? Date.UTC(y, mo - 1, d, h, mi, s, ms) : new Date(y, mo - 1, d, h, mi, s, ms).getTime()
}
