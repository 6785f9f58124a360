// Body and properties, only when asked for. All of it is text to React.
import { useState } from 'react'
import { path } from '../../api/client'
import { useBody } from '../../api/queries'
import type { Body, Message } from '../../api/types'
import { useUrl } from '../../app/url'
import { useT } from '../../i18n'
import { bytes } from '../../lib/format'
import { dump } from '../../lib/hex'
import { Answer, Loaded } from '../../parts/answer'
import { Choice } from '../../parts/filters'
import { Copy } from '../../parts/small'
import { Tree } from './json'

function Ask({ words, ask }: { words: string; ask: () => void }) {
  const t = useT()
  return (
    <Answer title={words} acts={<button type="button" className="act" onClick={ask}>{words}</button>}>
      <p>{t.life.bodyAskText}</p>
    </Answer>
  )
}

type Props = { id: string; copies: Message[] }

function useAsked({ id, copies }: Props) {
  const [params, set] = useUrl()
  const on = params.show === '1'
  const query = useBody(id, copies.length > 1 ? copies[0].position : undefined, on)
  return { on, query, ask: () => set({ show: '1' }) }
}

export function BodyTab(p: Props) {
  const t = useT()
  const { on, query, ask } = useAsked(p)
  if (!on) return <Ask words={t.life.bodyAsk} ask={ask} />
  return <Loaded query={query}>{(b) => <Shown id={p.id} body={b} position={p.copies.length > 1 ? p.copies[0].position : undefined} />}</Loaded>
}

function parsed(b: Body): unknown {
  try {
    return b.kind === 'json' ? JSON.parse(b.text) : undefined
  } catch {
    return undefined
  }
}

function Shown({ id, body: b, position }: { id: string; body: Body; position?: number }) {
  const t = useT()
  const [params] = useUrl()
  const tree = parsed(b)
  const views = [...(tree !== undefined ? ['tree'] : []), ...(b.text ? ['text'] : []), 'hex'] as ('tree' | 'text' | 'hex')[]
  const view = views.find((v) => v === params.view) ?? views[0]
  return (
    <>
      <div className="legend">
        <Choice name="view" label={t.life.tabs.body} standard={views[0]} options={views.map((v) => ({ id: v, label: t.life.bodyViews[v] }))} />
        <span>{t.life.bodySize(bytes(b.bytes), bytes(b.storedBytes))}</span>
        {b.compression && <span>{t.life.compressed(b.compression)}</span>}
        {b.truncated && <span className="warn">! {t.life.truncated}</span>}
        {b.error && <span className="bad">✕ {t.life.badBody}: {b.error}</span>}
        {!b.text && b.bytes > 0 && <span>{t.life.noText}</span>}
        {view === 'hex' && <span>{t.life.hexLimit}</span>}
        <span className="grow" />
        {b.text && <Copy text={b.text} what={t.life.body} />}
        <a className="act" href={path(`/messages/${encodeURIComponent(id)}/raw`, { position })} download>{t.life.download}</a>
      </div>
      {b.bytes === 0 && !b.error && <p className="dim pad">{t.life.emptyBody}</p>}
      {view === 'tree' && <Tree value={tree} />}
      {view === 'text' && <pre className="bodytext" data-test="body">{pretty(b, tree)}</pre>}
      {view === 'hex' && <pre className="hexdump">{dump(b.hex)}</pre>}
    </>
  )
}

const pretty = (b: Body, tree: unknown) => (tree !== undefined ? JSON.stringify(tree, null, 2) : b.text)

export function PropertiesTab(p: Props) {
  const t = useT()
  const [filter, setFilter] = useState('')
  const { on, query, ask } = useAsked(p)
  if (!on) return <Ask words={t.life.propsAsk} ask={ask} />
  return (
    <Loaded query={query}>
      {(b) => {
        const all = Object.entries(b.properties).sort(([a], [c]) => a.localeCompare(c))
        const shown = all.filter(([k, v]) => (k + '\n' + v).toLowerCase().includes(filter.toLowerCase()))
        if (all.length === 0) return <p className="dim pad">{t.life.noProperties}</p>
        return (
          <>
            <div className="legend">
              <input className="input" value={filter} onChange={(e) => setFilter(e.target.value)} placeholder={t.filterWhat(t.life.property)} aria-label={t.filterWhat(t.life.property)} />
            </div>
            <table className="plain-table">
              <thead>
                <tr><th scope="col" style={{ width: 260 }}>{t.life.property}</th><th scope="col">{t.life.value}</th></tr>
              </thead>
              <tbody>
                {shown.map(([k, v]) => (
                  <tr key={k}>
                    <td className="mono">{k}</td>
                    <td className="mono" style={{ overflowWrap: 'anywhere' }}>{v} <Copy text={v} what={k} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </>
        )
      }}
    </Loaded>
  )
}
