// The small words of every page: copy, age, time, topic and group names.
import { Link, useSearch } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { now, ofBroker, useNow } from '../app/live'
import { useZone } from '../app/prefs'
import { copy } from '../app/say'
import { carried, type UrlParams } from '../app/url'
import { useT } from '../i18n'
import { age as ageOf, hue, middle, shorten } from '../lib/format'
import { clock, date, iso, offsetName, stamp, type Precision } from '../lib/time'
import { Icon } from './icons'

type GoProps = { to: string; params?: Record<string, string>; search?: UrlParams; className?: string; children: ReactNode; title?: string; exact?: boolean }

/** A link inside the console; the time range goes along. */
export function Go({ to, params, search, className, children, title, exact }: GoProps) {
  const here = useSearch({ strict: false }) as UrlParams
  return (
    <Link to={to as never} params={params as never} search={{ ...carried(here), ...search } as never} className={className} title={title} activeOptions={{ exact, includeSearch: false }}>
      {children}
    </Link>
  )
}

export function Copy({ text, what }: { text: string; what: string }) {
  const t = useT()
  const act = (e: React.MouseEvent) => {
    e.stopPropagation()
    void copy(text, `${t.copied}: ${middle(text, 16, 6)}`)
  }
  return (
    <button type="button" className="copy" aria-label={t.copyValue(what)} title={t.copyValue(what)} onClick={act}>
      <Icon name="copy" size={14} />
    </button>
  )
}

export function Id({ id, what, whole = false }: { id: string; what: string; whole?: boolean }) {
  return (
    <span className="nowrap">
      <span className="mono" title={id}>
        {whole ? id : middle(id)}
      </span>
      <Copy text={id} what={what} />
    </span>
  )
}

export function bothZones(ms: number): string {
  const local = `${date(ms, 'local')} ${clock(ms, 'local')} ${offsetName(ms)}`
  return `${local}\n${date(ms, 'utc')} ${clock(ms, 'utc')} UTC\n${Math.round(ms)}`
}

/** Clock time; both zones and the epoch on hover. */
export function Time({ ms, precision = 's' }: { ms: number; precision?: Precision }) {
  const zone = useZone()
  const t = useT()
  if (!ms) return <span className="dim">{t.never}</span>
  return (
    <time dateTime={iso(ms)} title={bothZones(ms)} className="nowrap">
      {stamp(ms, zone, now(), precision)}
    </time>
  )
}

export function Age({ ms, every = 1000 }: { ms: number; every?: number }) {
  const t = useT()
  const at = useNow(every)
  if (!ms) return <span className="dim">{t.never}</span>
  const d = Math.max(0, at - ms)
  return (
    <span className="nowrap" title={bothZones(ms)}>
      {t.ago(ageOf(d))}
    </span>
  )
}

export function TimeAge({ ms }: { ms: number }) {
  if (!ms) return <Time ms={0} />
  return (
    <span className="nowrap">
      <Time ms={ms} /> <span className="dim">· <Age ms={ms} /></span>
    </span>
  )
}

export function Swatch({ name }: { name: string }) {
  return <i className="swatch" style={{ background: `var(--h${hue(name)})` }} aria-hidden="true" />
}

/** Names may have 127 and 255 characters: the middle goes, the whole is in the title. */
export function TopicName({ name, room = 48 }: { name: string; room?: number }) {
  return (
    <Go to="/topics/$topic" params={{ topic: name }} title={name}>
      {shorten(name, room)}
    </Go>
  )
}

export function GroupName({ name, room = 48 }: { name: string; room?: number }) {
  return (
    <Go to="/groups/$group" params={{ group: name }} title={name}>
      {shorten(name, room)}
    </Go>
  )
}

export function Code({ text, what }: { text: string; what: string }) {
  const t = useT()
  return (
    <div className="code">
      <pre tabIndex={0} aria-label={what}>{text}</pre>
      <button type="button" className="copy" onClick={() => void copy(text, t.copied)}>
        {t.copy}
      </button>
    </div>
  )
}

/** How old the data of a panel is. */
export function Freshness({ at }: { at: number }) {
  const t = useT()
  const age = Math.max(0, useNow() - ofBroker(at))
  if (!at || age < 10_000) return null
  return <span className="dim nowrap">{t.dataAge(ageOf(age))}</span>
}
