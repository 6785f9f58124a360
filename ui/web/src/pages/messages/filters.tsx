// Filters as chips; a chip is added by choosing its kind and typing its value.
import { Menu } from '@mantine/core'
import { useId, useState } from 'react'
import { useNames } from '../../app/search'
import { useUrl } from '../../app/url'
import { useT } from '../../i18n'

export const filterNames = ['topic', 'tag', 'key', 'producerGroup', 'client', 'group', 'state'] as const
const states = ['scheduled', 'fired', 'cancelled', 'retried', 'dead', 'half'] as const
export type FilterName = (typeof filterNames)[number]

export function Filters({ lead }: { lead?: FilterName }) {
  const t = useT()
  const [params, set] = useUrl()
  const [adding, setAdding] = useState<FilterName | undefined>()
  const shown = filterNames.filter((f) => params[f] && f !== lead)
  const free = filterNames.filter((f) => !params[f] && f !== lead)
  return (
    <>
      {shown.map((f) => (
        <span key={f} className="chip">
          <span className="cut"><span className="dim">{t.messages.filters[f]} = </span>{(f === 'state' && t.messages.states[params[f]!]) || params[f]}</span>
          <button type="button" aria-label={t.removeFilter(`${t.messages.filters[f]} = ${params[f]}`)} onClick={() => set({ [f]: undefined }, false)}>×</button>
        </span>
      ))}
      {adding === 'state' && <States done={(v) => (setAdding(undefined), v && set({ state: v, sel: undefined }, false))} />}
      {adding && adding !== 'state' && <Value name={adding} done={(v) => (setAdding(undefined), v && set({ [adding]: v, sel: undefined }, false))} />}
      {!adding && free.length > 0 && (
        <Menu position="bottom-start" shadow="md" returnFocus={false}>
          <Menu.Target>
            <button type="button" className="act quiet">+ {t.addFilter}</button>
          </Menu.Target>
          <Menu.Dropdown>
            {free.map((f) => (
              <Menu.Item key={f} onClick={() => setAdding(f)}>
                {t.messages.filters[f]} {f === 'group' && <span className="dim">({t.messages.groupHint})</span>}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
      )}
    </>
  )
}

function States({ done }: { done: (v: string) => void }) {
  const t = useT()
  return (
    <select className="input" autoFocus aria-label={t.messages.filters.state} defaultValue="" onChange={(e) => done(e.target.value)} onBlur={(e) => done(e.target.value)}>
      <option value="">{t.messages.filters.state}</option>
      {states.map((s) => <option key={s} value={s}>{t.messages.states[s]}</option>)}
    </select>
  )
}

/** An input with the known names to choose from; Enter takes it. */
export function Value({ name, done, first = '', width = 220, autoFocus = true, placeholder }: { name: FilterName | 'id'; done: (v: string) => void; first?: string; width?: number; autoFocus?: boolean; placeholder?: string }) {
  const t = useT()
  const id = useId()
  const [text, setText] = useState(first)
  const [seen, setSeen] = useState(first)
  if (seen !== first) {
    setSeen(first)
    setText(first)
  }
  const names = useNames(name === 'topic' || name === 'group' || name === 'client')
  const list = name === 'topic' ? names.topics : name === 'group' ? names.groups : name === 'client' ? names.clients : []
  const label = name === 'id' ? t.messages.id : t.messages.filters[name]
  return (
    <span className="row" style={{ gap: 4 }}>
      <input
        className="input" style={{ width }} list={list.length ? id : undefined} value={text} autoFocus={autoFocus} placeholder={placeholder ?? label} aria-label={label} spellCheck={false} autoComplete="off"
        onChange={(e) => (setText(e.target.value), list.includes(e.target.value) && !(e.nativeEvent as InputEvent).inputType && done(e.target.value))}
        onKeyDown={(e) => (e.key === 'Enter' ? done(text.trim()) : e.key === 'Escape' && (done(first), e.currentTarget.blur()))}
        onBlur={() => text !== first && done(text.trim())}
      />
      {list.length > 0 && <datalist id={id}>{list.slice(0, 500).map((n) => <option key={n} value={n} />)}</datalist>}
    </span>
  )
}
