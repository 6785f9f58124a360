// Filters of a list as words: a text, and states to choose from.
import { useEffect, useState } from 'react'
import { useUrl } from '../app/url'
import { useT } from '../i18n'

export function TextFilter({ what }: { what: string }) {
  const t = useT()
  const [params, set] = useUrl()
  const [text, setText] = useState(params.q ?? '')
  const [seen, setSeen] = useState(params.q)
  if (seen !== params.q) {
    setSeen(params.q)
    if ((params.q ?? '') !== text) setText(params.q ?? '')
  }
  useEffect(() => {
    const id = setTimeout(() => text !== (params.q ?? '') && set({ q: text || undefined }), 150)
    return () => clearTimeout(id)
  }, [text, params.q, set])
  return <input className="input" style={{ width: 240 }} value={text} onChange={(e) => setText(e.target.value)} placeholder={t.filterWhat(what)} aria-label={t.filterWhat(what)} type="search" />
}

export function Choice({ name, options, standard, label }: { name: string; options: { id: string; label: string }[]; standard: string; label: string }) {
  const [params, set] = useUrl()
  const value = params[name] ?? standard
  return (
    <div className="row" role="group" aria-label={label} style={{ gap: 4 }}>
      {options.map((o) => (
        <button key={o.id} type="button" className="act" aria-pressed={o.id === value} onClick={() => set({ [name]: o.id === standard ? undefined : o.id })}>
          {o.label}
        </button>
      ))}
    </div>
  )
}

export function Toggle({ name, label }: { name: string; label: string }) {
  const [params, set] = useUrl()
  return (
    <button type="button" className="act" aria-pressed={params[name] === '1'} onClick={() => set({ [name]: params[name] === '1' ? undefined : '1' })}>
      {label}
    </button>
  )
}
