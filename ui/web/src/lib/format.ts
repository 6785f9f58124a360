// Numbers as people read them: separators, units always. Pure.
export const thin = '\u202f'

export function count(n: number): string {
  const s = Math.round(Math.abs(n)).toString().replace(/\B(?=(\d{3})+$)/g, thin)
  return (n < 0 && s !== '0' ? '\u2212' : '') + s
}

/** A rate without its unit: 0, 0.4, 12.5, 1 204. */
export function rate(n: number): string {
  if (n === 0) return '0'
  if (n < 0.05) return '< 0.1'
  return n < 100 ? trim(n.toFixed(1)) : count(n)
}

export function compact(n: number): string {
  const steps: [number, string][] = [
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ]
  for (const [size, unit] of steps) if (Math.abs(n) >= size) return trim((n / size).toFixed(n / size < 10 ? 1 : 0)) + thin + unit
  return trim(n.toFixed(Math.abs(n) < 10 && n % 1 !== 0 ? 1 : 0))
}

const trim = (s: string) => s.replace(/\.0+$/, '')

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let i = 0
  let v = n
  while (v >= 1024 && i < units.length - 1) {
    v /= 1024
    i++
  }
  return (i === 0 || v >= 100 ? count(v) : trim(v.toFixed(1))) + ' ' + units[i]
}

/** µs as 12 µs, 340 ms, 1.24 s, 4 min 12 s, 2 h 5 min, 3 d 4 h. */
export function duration(micros: number): string {
  const sign = micros < 0 ? '\u2212' : ''
  const m = Math.abs(micros)
  if (m < 1000) return `${sign}${Math.round(m)} µs`
  if (m < 1e6) return `${sign}${digits(m / 1000)} ms`
  if (m < 60e6) return `${sign}${digits(m / 1e6)} s`
  return sign + long(Math.round(m / 1e6))
}

const digits = (v: number) => (v >= 100 ? String(Math.round(v)) : trim(v.toFixed(v < 10 ? 2 : 1)))

function long(seconds: number): string {
  const parts: [number, string, number, string][] = [
    [86400, 'd', 3600, 'h'],
    [3600, 'h', 60, 'min'],
    [60, 'min', 1, 's'],
  ]
  for (const [size, unit, small, smallUnit] of parts) {
    if (seconds < size) continue
    const rest = Math.floor((seconds % size) / small)
    return `${Math.floor(seconds / size)} ${unit}` + (rest ? ` ${rest} ${smallUnit}` : '')
  }
  return `${seconds} s`
}

/** An age: whole seconds, no seconds above ten minutes. */
export function age(ms: number): string {
  if (ms < 1000) return '< 1 s'
  const grain = ms > 600e3 ? 60e3 : 1000
  return duration(Math.floor(ms / grain) * grain * 1000)
}

/** Middle-truncated: 7F00001A…00C3. */
export function middle(s: string, head = 8, tail = 4): string {
  return s.length <= head + tail + 1 ? s : s.slice(0, head) + '…' + s.slice(-tail)
}

/** At most so many characters, the middle left out. */
export const shorten = (s: string, room: number) => middle(s, Math.ceil((room - 1) * 0.6), Math.floor((room - 1) * 0.4))

export function csv(rows: (string | number)[][]): string {
  const cell = (v: string | number) => {
    let s = String(v)
    if (typeof v === 'string' && /^[=+\-@\t\r]/.test(s)) s = "'" + s // a spreadsheet must not run it
    return /[",\n\r]/.test(s) ? '"' + s.replaceAll('"', '""') + '"' : s
  }
  return rows.map((r) => r.map(cell).join(',')).join('\r\n') + '\r\n'
}

/** A name's stable place in the palette of 12. */
export function hue(name: string): number {
  let h = 2166136261
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 16777619)
  return (h >>> 0) % 12
}
