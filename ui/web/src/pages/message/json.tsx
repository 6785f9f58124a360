// JSON as a tree that folds, and the whole answer as it came.
import { useState } from 'react'
import type { MessageLife } from '../../api/types'
import { download } from '../../app/say'
import { useT } from '../../i18n'
import { Code } from '../../parts/small'
import { copiesOf } from '../../lib/waterfall/model'

export function Tree({ value }: { value: unknown }) {
  return (
    <div className="tree" data-test="tree">
      <Branch value={value} depth={0} />
    </div>
  )
}

const firstOpen = 3
const manyKids = 100

function Branch({ name, value, depth }: { name?: string; value: unknown; depth: number }) {
  const t = useT()
  const [open, setOpen] = useState(depth < firstOpen)
  const [all, setAll] = useState(false)
  const key = name !== undefined && <><span className="k">{name}</span>: </>
  if (value === null || typeof value !== 'object') return <div>{key}<Leaf value={value} /></div>
  const list = Array.isArray(value)
  const kids = Object.entries(value)
  const [left, right] = list ? ['[', ']'] : ['{', '}']
  if (kids.length === 0) return <div>{key}{left}{right}</div>
  return (
    <div>
      <button type="button" className="plain" aria-expanded={open} aria-label={`${open ? t.life.collapse : t.life.expand} ${name ?? ''}`} onClick={() => setOpen(!open)}>
        {open ? '▾ ' : '▸ '}
      </button>
      {key}{left}
      {!open && <span className="z"> {kids.length} {right}</span>}
      {open && (
        <>
          <div className="kids">
            {kids.slice(0, all ? undefined : manyKids).map(([k, v]) => <Branch key={k} name={list ? undefined : k} value={v} depth={depth + 1} />)}
            {!all && kids.length > manyKids && <button type="button" className="act quiet" onClick={() => setAll(true)}>+ {kids.length - manyKids}</button>}
          </div>
          {right}
        </>
      )}
    </div>
  )
}

function Leaf({ value }: { value: unknown }) {
  if (typeof value === 'string') return <span className="s">{JSON.stringify(value)}</span>
  if (typeof value === 'number') return <span className="n">{String(value)}</span>
  return <span className="z">{String(value)}</span>
}

export function JsonTab({ life }: { life: MessageLife }) {
  const t = useT()
  const text = JSON.stringify(life, null, 2)
  return (
    <div className="pad" style={{ paddingTop: 12 }}>
      <div className="row" style={{ marginBottom: 8 }}>
        <button type="button" className="act" onClick={() => download(`${copiesOf(life)[0]?.id ?? 'message'}.json`, 'application/json', text)}>{t.exportAs} JSON</button>
      </div>
      <Code text={text} what={t.life.tabs.json} />
    </div>
  )
}
