// A dialog for acts: what will happen, then progress, then what came of it. Reading never needs one.
import { Modal } from '@mantine/core'
import { useId, type ReactNode } from 'react'
import { ApiError } from '../api/client'
import { useActions } from '../api/acts'
import { copy, say } from '../app/say'
import { useT } from '../i18n'
import { apiPost } from '../lib/cli'

export function Dialog({ title, close, children, acts, size = 620, busy = false }: { title: string; close: () => void; children: ReactNode; acts: ReactNode; size?: number; busy?: boolean }) {
  const t = useT()
  return (
    <Modal opened onClose={close} title={title} size={size} yOffset="8vh" padding={20} transitionProps={{ duration: 0 }} closeOnClickOutside={!busy} closeOnEscape={!busy} withCloseButton={!busy} closeButtonProps={{ 'aria-label': t.close }}>
      <div data-test="dialog" className="dialog">{children}</div>
      <div className="row wrap dialog-acts">{acts}</div>
    </Modal>
  )
}

/** A button that acts. Where nothing may be changed it says why instead. */
export function Act({ onClick, children, primary, disabled, danger, test }: { onClick: () => void; children: ReactNode; primary?: boolean; disabled?: boolean; danger?: boolean; test?: string }) {
  const t = useT()
  const id = useId()
  const actions = useActions()
  const may = actions.data?.allowed ?? false
  const why = actions.data ? t.acts.off(actions.data.why) : actions.error ? t.acts.offUnknown : ''
  const kind = danger ? ' danger' : primary ? ' primary' : ''
  if (may) return <button type="button" className={`act${kind}`} data-test={test} disabled={disabled} onClick={onClick}>{children}</button>
  return (
    <>
      <button type="button" className="act off" data-test={test} aria-disabled="true" aria-describedby={id} title={why} onClick={() => say(why)}>{children}</button>
      <span id={id} hidden>{why}</span>
    </>
  )
}

/** The same act as a command and as a call, to copy. */
export function AsToo({ cli, path, body }: { cli?: string; path: string; body: unknown }) {
  const t = useT()
  return (
    <span className="row" style={{ marginRight: 'auto', gap: 4 }}>
      {cli && <button type="button" className="act quiet" onClick={() => void copy(cli, t.life.cliNote)}>{t.asCli}</button>}
      <button type="button" className="act quiet" onClick={() => void copy(apiPost('/api/v1' + path, body, location.origin), t.life.apiNote)}>{t.asApi}</button>
    </span>
  )
}

/** Why an act failed, beside it. */
export function Failed({ error }: { error: unknown }) {
  const t = useT()
  if (!error) return null
  const p = error instanceof ApiError ? error.problem : undefined
  return (
    <p className="bad" role="alert" data-test="act-failed">
      ✕ {p ? (p.type === 'unreachable' ? t.problem.unreachable : `${p.title}: ${p.detail}`) : String(error)} {p?.next && <span className="dim">{p.next}</span>} {p?.id && <span className="mono dim">{p.id}</span>}
    </p>
  )
}

/** The act is possible when the name was typed. */
export function TypeName({ name, value, change }: { name: string; value: string; change: (v: string) => void }) {
  const t = useT()
  return (
    <label className="field">
      <span>{t.acts.typeName(name)}</span>
      <input className="input" value={value} onChange={(e) => change(e.target.value)} autoComplete="off" spellCheck={false} data-test="type-name" />
    </label>
  )
}

export function Progress({ done, all }: { done: number; all: number }) {
  const t = useT()
  return (
    <div role="progressbar" aria-valuemin={0} aria-valuemax={all} aria-valuenow={done} aria-label={t.acts.progress} className="meter big">
      <i style={{ width: `${all ? (100 * done) / all : 0}%`, background: 'var(--send)' }} />
    </div>
  )
}
