// The universal search box: it recognises what was pasted and says what it understood.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useId, useMemo, useRef, useState } from 'react'
import { clientsQuery, groupsQuery, topicsQuery } from '../api/queries'
import { useT, type Dictionary } from '../i18n'
import { guess, type Guess } from '../lib/ids'
import { lengthOf } from '../lib/range'
import { stamp, type Zone } from '../lib/time'
import { Icon } from '../parts/icons'
import { now } from './live'
import { useZone } from './prefs'
import { carried, useRange, useUrl, type UrlParams } from './url'

export function useNames(on: boolean) {
  const topics = useQuery({ ...topicsQuery, enabled: on, staleTime: 10_000 }).data
  const groups = useQuery({ ...groupsQuery, enabled: on, staleTime: 10_000 }).data
  const clients = useQuery({ ...clientsQuery, enabled: on, staleTime: 10_000 }).data
  return useMemo(
    () => ({
      topics: topics?.topics.map((x) => x.name) ?? [],
      groups: groups?.groups.map((x) => x.name) ?? [],
      clients: [...new Set(clients?.clients.map((x) => x.clientId || x.addr) ?? [])],
    }),
    [topics, groups, clients],
  )
}

const day = 24 * 3600e3

/** Goes to what a guess means. A key is looked for over a day at least. */
export function useGoTo() {
  const navigate = useNavigate()
  const [params] = useUrl()
  const { range } = useRange()
  return (g: Guess) => {
    const along = carried(params)
    const go = (to: string, p: Record<string, string>, search: UrlParams = {}) => void navigate({ to: to as never, params: p as never, search: { ...along, ...search } as never })
    if (g.kind === 'id') return go('/messages/$id', { id: g.id })
    if (g.kind === 'topic') return go('/topics/$topic', { topic: g.name })
    if (g.kind === 'group') return go('/groups/$group', { group: g.name })
    if (g.kind === 'client') return go('/clients', {}, { q: g.name })
    const short = 'last' in range && lengthOf(range.last)! < day
    return go('/messages', {}, { tab: 'key', key: g.name, ...(short ? { last: '24h' } : {}) })
  }
}

export function tell(g: Guess, t: Dictionary, zone: Zone): { text: string; hint: string } {
  if (g.kind !== 'id') return { text: t.guess[g.kind](g.name), hint: t.guess[`${g.kind}Hint`] }
  const i = g.identity
  const text = t.guess.id(g.id)
  if (!i) return { text, hint: t.guess.idAnyway }
  if (i.kind === 'uniqueId') return { text, hint: t.guess.uniqueId(i.ip, i.pid) }
  if (i.kind === 'offsetId') return { text, hint: t.guess.offsetId(i.ip, i.port, String(i.position)) }
  return { text, hint: t.guess.grpcId(stamp(i.at, zone, now())) }
}

export function Search() {
  const t = useT()
  const zone = useZone()
  const id = useId()
  const input = useRef<HTMLInputElement>(null)
  const [text, setText] = useState('')
  const [open, setOpen] = useState(false)
  const [at, setAt] = useState(0)
  const names = useNames(open)
  const goTo = useGoTo()
  const guesses = useMemo(() => guess(text, names), [text, names])
  const take = (g: Guess | undefined) => {
    if (!g) return
    goTo(g)
    setText('')
    setOpen(false)
    input.current?.blur()
  }
  const key = (e: React.KeyboardEvent) => {
    if (e.key === 'ArrowDown' || e.key === 'ArrowUp') {
      e.preventDefault()
      setAt((at + (e.key === 'ArrowDown' ? 1 : -1) + guesses.length) % Math.max(1, guesses.length))
    } else if (e.key === 'Enter' && !e.nativeEvent.isComposing) take(guesses[at])
    else if (e.key === 'Escape') input.current?.blur()
  }
  const list = open && (text.trim() !== '' || undefined)
  return (
    <div className="find" role="search">
      <label className="row input big" style={{ gap: 6 }}>
        <Icon name="search" size={15} />
        <input
          id="find"
          ref={input}
          className="grow"
          style={{ border: 0, outline: 0, background: 'none', font: 'inherit', color: 'inherit' }}
          value={text}
          placeholder={t.bar.placeholder}
          aria-label={t.bar.search}
          role="combobox"
          aria-expanded={!!list}
          aria-controls={list ? id : undefined}
          aria-activedescendant={list ? `${id}${at}` : undefined}
          aria-autocomplete="list"
          autoComplete="off"
          spellCheck={false}
          onChange={(e) => (setText(e.target.value), setAt(0), setOpen(true))}
          onFocus={() => setOpen(true)}
          onBlur={() => setOpen(false)}
          onKeyDown={key}
        />
        <kbd aria-hidden="true">/</kbd>
      </label>
      {list && (
        <div className="pop" style={{ left: 0, right: 0 }} role="listbox" id={id} aria-label={t.bar.search}>
          {guesses.map((g, i) => {
            const { text: words, hint } = tell(g, t, zone)
            return (
              <div key={i} id={`${id}${i}`} role="option" aria-selected={i === at} className="opt two" onMouseDown={(e) => (e.preventDefault(), take(g))} onMouseMove={() => setAt(i)}>
                <span className="cut" title={words}>{words}</span>
                <span className="hint" title={hint}>{hint}</span>
              </div>
            )
          })}
        </div>
      )}
    </div>
  )
}
