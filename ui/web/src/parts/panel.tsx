// Detail beside the list: it hides nothing and takes no focus away.
import type { ReactNode } from 'react'
import { useKeys } from '../app/keys'
import { useT } from '../i18n'

export function Panel({ title, children, close, acts }: { title: ReactNode; children: ReactNode; close: () => void; acts?: ReactNode }) {
  const t = useT()
  useKeys({ Escape: () => { if (!document.querySelector('[data-test="dialog"]')) close() } }) // that closes first, and alone
  return (
    <aside className="panel" aria-label={typeof title === 'string' ? title : t.messages.preview}>
      <header>
        <h2 className="cut grow">{title}</h2>
        {acts}
        <button type="button" className="act quiet" onClick={close}>
          {t.close} <kbd>Esc</kbd>
        </button>
      </header>
      <div className="in" tabIndex={0} role="group" aria-label={typeof title === 'string' ? title : t.messages.preview}>{children}</div>
    </aside>
  )
}

export type TabSpec = { id: string; label: string; count?: string }

export function Tabs({ tabs, value, onChange, label }: { tabs: TabSpec[]; value: string; onChange: (id: string) => void; label: string }) {
  const move = (e: React.KeyboardEvent) => {
    const step = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0
    if (!step) return
    const next = tabs[(tabs.findIndex((x) => x.id === value) + step + tabs.length) % tabs.length]
    onChange(next.id)
    e.currentTarget.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus()
  }
  return (
    <div className="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map((tab) => (
        <button key={tab.id} type="button" role="tab" data-tab={tab.id} aria-selected={tab.id === value} tabIndex={tab.id === value ? 0 : -1} onClick={() => onChange(tab.id)}>
          {tab.label} {tab.count !== undefined && <span className="dim">{tab.count}</span>}
        </button>
      ))}
    </div>
  )
}
