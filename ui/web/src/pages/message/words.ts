// Verdicts and items as sentences.
import type { Evidence, Leadership, Message, Verdict } from '../../api/types'
import type { Dictionary } from '../../i18n'
import { age, count, duration } from '../../lib/format'
import { stamp, type Zone } from '../../lib/time'
import type { Item } from '../../lib/waterfall/model'

export type Tone = 'ok' | 'warn' | 'bad' | 'none' | ''

const tones: Record<string, { tone: Tone; sign: string }> = {
  dead: { tone: 'bad', sign: '✕' },
  retrying: { tone: 'warn', sign: '↻' },
  scheduled: { tone: '', sign: '◷' },
  cancelled: { tone: 'none', sign: '⊘' },
  undecided: { tone: 'warn', sign: '½' },
  'rolled-back': { tone: 'none', sign: '⊘' },
  discarded: { tone: 'bad', sign: '✕' },
  delivered: { tone: 'warn', sign: '↻' },
  offline: { tone: 'bad', sign: '✕' },
  waiting: { tone: 'warn', sign: '◔' },
  expired: { tone: 'bad', sign: '✕' },
  unknown: { tone: 'none', sign: '?' },
  skipped: { tone: 'warn', sign: '↷' },
  filtered: { tone: 'none', sign: '○' },
  consumed: { tone: 'ok', sign: '✓' },
  'not-subscribed': { tone: 'none', sign: '–' },
}

export const toneOf = (v: Verdict) => tones[v.state] ?? { tone: 'none' as Tone, sign: '?' }

/** Where the message is for one group. Now is the broker's, ms. */
export function sentence(v: Verdict, t: Dictionary, zone: Zone, now: number): string {
  const s = t.life.state
  const at = (micros: number) => stamp(micros / 1000, zone, now, 'ms')
  const since = (precision: 's' | 'ms') => stamp(v.sinceMicros / 1000, zone, now, precision)
  switch (v.state) {
    case 'delivered':
      return s.delivered(v.client, since('ms'))
    case 'waiting': {
      const waited = age(Math.max(0, now - v.sinceMicros / 1000))
      return v.ahead ? s.waiting(waited, count(v.ahead)) : s.waitingNext(waited)
    }
    case 'offline':
      return offline(v, t, zone, now)
    case 'scheduled':
      return v.dueMicros > now * 1000 ? s.scheduled(duration(v.dueMicros - now * 1000), at(v.dueMicros)) : s.overdue(at(v.dueMicros))
    case 'cancelled':
      return v.client ? s.cancelledBy(v.client, since('s')) : s.cancelled(since('s'))
    case 'undecided':
      return s.undecided(age(Math.max(0, now - v.sinceMicros / 1000)))
    case 'rolled-back':
      return s.rolledBack(v.client, since('s'))
    case 'discarded':
      return s.discarded(since('s'))
    case 'retrying':
      return s.retrying(v.retry, v.maxRetries, at(v.dueMicros), v.dueMicros > now * 1000 ? duration(v.dueMicros - now * 1000) : '')
    case 'dead':
      return s.dead(v.attempts, since('s'))
    case 'skipped':
      return s.skipped(since('s'))
    case 'consumed':
      return v.tookMicros ? s.consumed(duration(v.tookMicros)) : s.consumedSometime
    case 'expired':
    case 'unknown':
    case 'filtered':
    case 'not-subscribed':
      return s[v.state]
  }
  return v.state
}

function offline(v: Verdict, t: Dictionary, zone: Zone, now: number): string {
  if (v.evidence.some((e) => e.code === 'never-seen')) return t.life.state.offlineNever
  const seen = v.evidence.find((e) => e.code === 'last-seen')?.atMicros || v.sinceMicros // the group's, which may be before the message
  return t.life.state.offline(stamp(seen / 1000, zone, now, 's'))
}

/** A fact in the person's language; the server's own English where the code is new. */
export function fact(e: Evidence, t: Dictionary): string {
  return t.life.codes[e.code]?.(e.values) ?? e.text
}

export function what(i: Item, t: Dictionary): string {
  if (i.what === 'led') return t.life.led((i.raw as Leadership).node, String((i.raw as Leadership).term))
  const words = t.life.item[i.what]
  if (typeof words === 'function') return words(i.arg ?? '')
  return i.lane === 'broker' && i.arg ? `${words} · ${i.arg}` : words
}

function accepted(i: Item, t: Dictionary): string {
  const m = i.raw as Message
  const slowest = m.slowest && m.committedMicros ? ` · ${t.life.slowest(String(m.slowest))}` : ''
  return `${t.life.item.accepted} ${duration(m.ackedMicros - m.receivedMicros)}${slowest}${i.arg ? ' · ' + i.arg : ''}`
}

/** The short words that stand in the picture. */
export function label(i: Item, t: Dictionary): string {
  const took = i.source === 'client' && i.to === i.from ? '< 1 ms' : duration(i.to - i.from) // clients report whole ms
  const text = what(i, t)
  if (i.what === 'notRecorded' || i.what === 'led') return text
  if (i.what === 'nobody') return `${text} · ${took}`
  if (i.what === 'fired') return `${t.life.item.firedShort} ${t.life.late(duration(i.late ?? 0))}`
  if (i.what === 'dead') return '✕ ' + text
  if (i.shape === 'diamond') return i.what === 'ack' ? '✓ ' + text : i.what === 'delivered' || i.what === 'passed' ? '' : text
  if (i.what === 'process') return `${i.tone === 'bad' ? '✕ ' : ''}${i.attempt ? t.life.attempts(i.attempt) + ' · ' : ''}${took}`
  if (i.what === 'held') return took
  if (i.shape === 'thin') return i.what === 'answer' ? accepted(i, t) : ''
  return `${text} ${took}`
}
