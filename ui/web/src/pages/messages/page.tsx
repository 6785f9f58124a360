// /messages: the three ways people know, chips, a histogram, rows as they come, an answer that is never a guess.
import { useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useState } from 'react'
import { path, type Params } from '../../api/client'
import { now } from '../../app/live'
import { copy } from '../../app/say'
import { carried, useRange, useUrl, type UrlParams } from '../../app/url'
import { Histogram } from '../../charts/histogram'
import { useT } from '../../i18n'
import { barCount, bars } from '../../lib/buckets'
import { apiCall, cli } from '../../lib/cli'
import { userTopic } from '../../lib/copies'
import { ofSystem } from '../../lib/ids'
import { resolve } from '../../lib/range'
import { Toggle } from '../../parts/filters'
import { Tabs } from '../../parts/panel'
import { Age } from '../../parts/small'
import { Table } from '../../parts/table'
import { NoRows, Summary } from './answer'
import { useMessageColumns } from './columns'
import { Filters, Value, filterNames, type FilterName } from './filters'
import { Preview } from './preview'
import { keyOf, useSearchStream } from './stream'

type Tab = 'topic' | 'id' | 'key'
const leads: Record<Tab, FilterName | undefined> = { topic: 'topic', id: undefined, key: 'key' }

function queryOf(params: UrlParams, tab: Tab): Params | undefined {
  if (tab === 'id' && !params.id) return undefined
  if (tab === 'key' && !params.key) return undefined
  const q: Params = {}
  for (const f of filterNames) if (params[f]) q[f] = params[f]
  if (tab === 'id') q.id = params.id
  return q
}

export function useOpenMessage() {
  const navigate = useNavigate()
  const [params] = useUrl()
  return (m: { id: string }, newTab: boolean) => {
    const along = carried(params)
    if (newTab) return void window.open(`/messages/${encodeURIComponent(m.id)}`, '_blank', 'noopener')
    void navigate({ to: '/messages/$id', params: { id: m.id } as never, search: along as never })
  }
}

export function MessagesPage() {
  const t = useT()
  const [params, set] = useUrl()
  const tab: Tab = params.tab === 'id' || params.tab === 'key' ? params.tab : 'topic'
  const { range, setRange } = useRange()
  const query = queryOf(params, tab)
  const window = useCallback(() => resolve(range, now() + ('last' in range ? 2000 : 0)), [range])
  const { found, stop, older, again } = useSearchStream(query, window)
  const columns = useMessageColumns()
  const open = useOpenMessage()
  const soon = tab === 'key' && 'last' in range
  const yet = useAskAgain(JSON.stringify(query), soon && found.state === 'done' && found.messages.length === 0, again) && soon && found.messages.length === 0
  const span = useMemo(() => ({ from: found.from * 1000, to: found.to * 1000 }), [found.from, found.to])
  const shown = useMemo(() => bars(span, found.done?.histogram, found.messages, barCount(span, found.done?.histogram, 120)), [span, found.done, found.messages])
  const all = params.system === '1' || !!params.topic || !!params.state || tab === 'id'
  const rows = useMemo(() => (all ? found.messages : found.messages.filter((m) => !ofSystem(userTopic(m)))), [found.messages, all])
  const hidden = found.messages.length - rows.length
  const picked = rows.find((m) => m.id === params.sel)
  const tabs = [{ id: 'topic', label: t.messages.tabs.topic }, { id: 'id', label: t.messages.tabs.id }, { id: 'key', label: t.messages.tabs.key }]
  return (
    <>
      <div className="head">
        <h1>{t.messages.title}</h1>
        <span className="acts">
          {found.at > 0 && <span className="dim" style={{ fontSize: 12 }}><Age ms={found.at} /></span>}
          <button type="button" className="act quiet" onClick={again}>{t.refresh} <kbd>r</kbd></button>
          <Copies query={query} window={window} />
        </span>
      </div>
      <Tabs tabs={tabs} value={tab} label={t.messages.title} onChange={(id) => set({ tab: id === 'topic' ? undefined : id, sel: undefined }, false)} />
      <div className="strip" style={{ paddingTop: 10 }}>
        <Lead tab={tab} />
        <Filters lead={leads[tab]} />
        {tab !== 'id' && !params.topic && <Toggle name="system" label={t.topics.system} />}
      </div>
      {!query ? (
        <div className="answer dim">{tab === 'id' ? t.messages.idPrompt : t.messages.keyPrompt}</div>
      ) : (
        <>
          {tab !== 'id' && found.from > 0 && <Histogram bars={shown} dim={!found.fresh} onRange={(from, to) => setRange({ from, to })} />}
          <Summary found={found} stop={stop} yet={yet} hidden={hidden} />
          <div className="split" aria-busy={!found.fresh} style={{ opacity: found.fresh ? 1 : 0.55 }}>
            <div className="grow fill">
              <Table
                rows={rows} columns={columns} rowKey={keyOf} name="messages" label={t.messages.title} end={older} open={open} pick={(m) => set({ sel: m.id })} picked={picked && keyOf(picked)}
                empty={<NoRows found={found} again={again} yet={yet} />} foot={found.done?.next && <button type="button" className="act quiet" onClick={older} disabled={found.state === 'older'}>{found.state === 'older' ? t.messages.loadingOlder : t.messages.older}</button>}
              />
            </div>
            {picked && <Preview message={picked} close={() => set({ sel: undefined })} />}
          </div>
        </>
      )}
    </>
  )
}

const tries = 7

/** A message that was just sent may not be shipped yet: ask again for a while before saying that there is none. */
function useAskAgain(key: string, empty: boolean, again: () => void): boolean {
  const [asked, setAsked] = useState({ key, n: 0 })
  const n = asked.key === key ? asked.n : 0
  const more = n < tries
  useEffect(() => {
    if (!empty || !more) return
    const id = setTimeout(() => (setAsked({ key, n: n + 1 }), again()), 800)
    return () => clearTimeout(id)
  }, [empty, more, key, n, again])
  return more
}

function Lead({ tab }: { tab: Tab }) {
  const t = useT()
  const [params, set] = useUrl()
  const open = useOpenMessage()
  if (tab === 'id') return <Value key="id" name="id" first={params.id ?? ''} width={380} autoFocus={!params.id} placeholder={t.messages.idPlaceholder} done={(v) => v && v !== params.id && open({ id: v }, false)} />
  const name = tab === 'key' ? 'key' : 'topic'
  return (
    <Value
      key={name} name={name} first={params[name] ?? ''} width={260} autoFocus={tab === 'key' && !params.key} placeholder={tab === 'key' ? t.messages.keyPlaceholder : `${t.messages.topic}: ${t.messages.anyTopic}`}
      done={(v) => v !== (params[name] ?? '') && set({ [name]: v || undefined, sel: undefined }, false)}
    />
  )
}

function Copies({ query, window }: { query: Params | undefined; window: () => { from: number; to: number } }) {
  const t = useT()
  const micros = () => {
    const { from, to } = window()
    return { from: String(Math.round(from * 1000)), to: String(Math.round(to * 1000)) }
  }
  const flags = () => {
    const { from, to } = window()
    return { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
  }
  const strings = Object.fromEntries(Object.entries(query ?? {}).map(([k, v]) => [k.replace(/[A-Z]/g, (c) => '-' + c.toLowerCase()), String(v)]))
  return (
    <>
      <button type="button" className="act quiet" onClick={() => void copy(apiCall(path('/messages', { ...query, ...micros() }), location.origin), t.life.apiNote)}>{t.asApi}</button>
      {!query?.state && <button type="button" className="act quiet" onClick={() => void copy(cli(['message', 'search'], { ...strings, ...flags() }, location.origin), t.life.cliNote)}>{t.asCli}</button>}
    </>
  )
}
