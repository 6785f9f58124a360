// /scheduled: what is due next, what was delivered and how late, what was cancelled.
import { useCallback, useMemo, useState } from 'react'
import type { Params } from '../../api/client'
import { useScheduledNext } from '../../api/acts'
import { useScheduled } from '../../api/queries'
import type { Message, Scheduled } from '../../api/types'
import { now, useNow } from '../../app/live'
import { useRange, useUrl } from '../../app/url'
import { Histogram } from '../../charts/histogram'
import { useT } from '../../i18n'
import { bars } from '../../lib/buckets'
import { lateMicros, userTopic } from '../../lib/copies'
import { count, duration, middle } from '../../lib/format'
import { resolve } from '../../lib/range'
import { Answer, Loaded } from '../../parts/answer'
import { Act } from '../../parts/dialog'
import { Tabs } from '../../parts/panel'
import { Swatch, Time, TopicName } from '../../parts/small'
import { Table, type Column } from '../../parts/table'
import { NoRows, Summary } from '../messages/answer'
import { Value } from '../messages/filters'
import { useOpenMessage } from '../messages/page'
import { Preview } from '../messages/preview'
import { keyOf, useSearchStream } from '../messages/stream'
import { CancelDialog } from './cancel'

type Tab = 'next' | 'fired' | 'cancelled'

function useColumns(tab: Tab): Column<Message>[] {
  const t = useT()
  const at = Math.floor(useNow() / 1000) * 1000
  return useMemo(() => {
    const c = t.messages.columns
    const w = t.scheduled
    const topic: Column<Message> = { id: 'topic', label: c.topic, width: 130, grow: 1, fixed: true, value: userTopic, render: (m) => <span className="cut"><Swatch name={userTopic(m)} /> <TopicName name={userTopic(m)} /></span> }
    const due: Column<Message> = { id: 'due', label: w.due, width: 196, fixed: true, value: (m) => m.dueMicros, render: (m) => <Time ms={m.dueMicros / 1000} precision="ms" /> }
    const rest: Column<Message>[] = [
      { id: 'tag', label: c.tag, width: 98, grow: 0.5, fixed: true, value: (m) => m.tag, render: (m) => (m.tag ? <span className="tag">{m.tag}</span> : '') },
      { id: 'keys', label: c.keys, width: 130, grow: 1.2, fixed: true, value: (m) => m.keys.join(' '), render: (m) => <span className="mono">{m.keys.slice(0, 5).join(' ')}</span> },
      { id: 'producer', label: c.producer, width: 110, grow: 1, fixed: true, value: (m) => m.producerGroup },
      { id: 'id', label: c.id, width: 132, fixed: true, value: (m) => m.id, render: (m) => <span className="mono" title={m.id}>{middle(m.id)}</span> },
    ]
    const stored: Column<Message> = { id: 'stored', label: tab === 'fired' ? w.actual : w.stored, width: 196, fixed: true, value: (m) => m.appendedMicros, render: (m) => <Time ms={m.appendedMicros / 1000} precision="ms" /> }
    if (tab === 'fired') return [stored, due, { id: 'late', label: w.late, width: 90, right: true, fixed: true, value: lateMicros, render: (m) => <span className={lateMicros(m) > 1e6 ? 'warn' : ''}>{duration(lateMicros(m))}</span> }, topic, ...rest]
    const cancelled: Column<Message> = { id: 'cancelled', label: w.cancelledAt, width: 196, fixed: true, value: (m) => m.cancelledMicros, render: (m) => m.cancelledMicros > 0 && <Time ms={m.cancelledMicros / 1000} precision="ms" /> }
    if (tab === 'cancelled') return [stored, cancelled, due, topic, ...rest]
    return [due, { id: 'in', label: w.dueIn, width: 110, right: true, fixed: true, value: (m) => m.dueMicros - at * 1000, render: (m) => duration(Math.max(0, Math.ceil((m.dueMicros / 1000 - at) / 1000)) * 1e6) }, topic, ...rest.filter((x) => x.id !== 'producer'), stored] // the broker's list does not tell who sent it
  }, [t, tab, at])
}

export function ScheduledPage() {
  const t = useT()
  const [params, set] = useUrl()
  const tab: Tab = params.tab === 'fired' || params.tab === 'cancelled' ? params.tab : 'next'
  const tabs = (['next', 'fired', 'cancelled'] as const).map((id) => ({ id, label: t.scheduled.tabs[id] }))
  const ask = { topic: params.topic, key: params.key }
  return (
    <>
      <div className="head"><h1>{t.scheduled.title}</h1></div>
      <Tabs tabs={tabs} value={tab} label={t.scheduled.title} onChange={(id) => set({ tab: id === 'next' ? undefined : id, sel: undefined }, false)} />
      <div className="strip" style={{ paddingTop: 10 }}>
        <Value name="topic" first={params.topic ?? ''} width={240} autoFocus={false} placeholder={`${t.messages.topic}: ${t.messages.anyTopic}`} done={(v) => v !== (params.topic ?? '') && set({ topic: v || undefined, sel: undefined }, false)} />
        <Value name="key" first={params.key ?? ''} width={240} autoFocus={false} placeholder={t.scheduled.find} done={(v) => v !== (params.key ?? '') && set({ key: v || undefined, sel: undefined }, false)} />
      </div>
      {tab === 'next' ? <Next ask={ask} /> : <Past key={tab} tab={tab} ask={ask} />}
    </>
  )
}

/** A scheduled message of the broker's list as a row of the trail: what both know. */
function rowOf(m: Scheduled): Message {
  const nothing = { type: 'delay', index: 0, term: 0, storedBytes: m.bytes, sysFlag: 0, producerGroup: '', producerClient: '', producerAddr: '', language: '', version: '', protocol: '', node: '', bornMicros: 0, receivedMicros: 0, syncedMicros: 0, ackedMicros: 0, originTopic: '', resentFrom: '', resentBy: '', cancelledMicros: 0, originId: '', traceIn: '', parentIn: '', traceFlags: 0, offsetId: '', topic: '', queueId: 0, queueOffset: 0 }
  return { ...nothing, id: m.uniqKey, broker: m.broker, timing: 'parked', realTopic: m.topic, realQueueId: m.queueId, tag: m.tags ?? '', keys: (m.keys ?? '').split(' ').filter(Boolean), dueMicros: m.dueAt * 1000, appendedMicros: m.storedAt * 1000, position: m.position, reconsumeTimes: m.attempts ?? 0, bodyBytes: m.bytes } as Message
}

/** What waits is told by the broker; what a filter finds, which may be due long after that, by the trail. */
function Next({ ask }: { ask: { topic?: string; key?: string } }) {
  const t = useT()
  const filtered = !!(ask.topic || ask.key)
  const own = useScheduledNext(!filtered)
  const trail = useScheduled(ask, filtered)
  if (filtered) return <Loaded query={trail}>{(m) => <List rows={m.messages ?? []} note={t.scheduled.far} answer={m.answer} reason={m.reason} at={trail.dataUpdatedAt} />}</Loaded>
  return (
    <Loaded query={own}>
      {(m) => <List rows={m.messages.filter((x) => !x.attempts).map(rowOf)} note={`${t.scheduled.fromBroker} ${t.scheduled.counts(count(m.pending), count(m.firedTotal), count(m.cancelledTotal))}`} answer="found" at={own.dataUpdatedAt} />}
    </Loaded>
  )
}

const asked = 500

function List({ rows, note, answer, reason, at }: { rows: Message[]; note: string; answer: string; reason?: string; at: number }) {
  const t = useT()
  const [cancelling, setCancelling] = useState<Message | undefined>() // here, because its row goes when it is cancelled
  const [params, set] = useUrl()
  const columns = useColumns('next')
  const open = useOpenMessage()
  const picked = rows.find((m) => m.id === params.sel)
  const span = { from: rows[0]?.dueMicros ?? 0, to: (rows.at(-1)?.dueMicros ?? 0) + 1 }
  const failed = answer === 'failed'
  const empty = (
    <Answer tone={failed ? 'bad' : answer === 'not-recorded' ? 'none' : undefined} title={failed ? t.messages.failed : t.scheduled.empty}>
      <p>{reason || t.scheduled.emptyText}</p>
    </Answer>
  )
  return (
    <>
      {rows.length > 0 && <Histogram bars={bars(span, rows.map((m) => ({ atMicros: m.dueMicros, count: 1 })), [], 60)} dim={false} label={t.scheduled.histogram} />}
      <div className="strip" role="status" data-test="summary" style={{ fontSize: 13 }}>
        {rows.length > 0 && <b style={{ fontWeight: 600 }}>{t.scheduled.sentence(count(rows.length), rows.length >= asked)}</b>}
        <span className="grow" />
        <span className="dim">{note}</span>
      </div>
      <div className="split">
        <div className="grow fill">
          <Table rows={rows} columns={columns} rowKey={keyOf} name="scheduled" label={t.scheduled.title} open={open} pick={(m) => set({ sel: m.id })} picked={picked && keyOf(picked)} updatedAt={at} empty={empty} />
        </div>
        {picked && <Preview message={picked} close={() => set({ sel: undefined })} acts={<Act test="cancel" onClick={() => setCancelling(picked)}>{t.scheduled.cancel}</Act>} />}
      </div>
      {cancelling && <CancelDialog message={cancelling} close={() => setCancelling(undefined)} />}
    </>
  )
}

function Past({ tab, ask }: { tab: 'fired' | 'cancelled'; ask: { topic?: string; key?: string } }) {
  const t = useT()
  const [params, set] = useUrl()
  const { range, setRange } = useRange()
  const query: Params = { ...ask, state: tab }
  const window = useCallback(() => resolve(range, now() + ('last' in range ? 2000 : 0)), [range])
  const { found, stop, older, again } = useSearchStream(query, window)
  const columns = useColumns(tab)
  const open = useOpenMessage()
  const rows = found.messages
  const picked = rows.find((m) => m.id === params.sel)
  const span = { from: found.from * 1000, to: found.to * 1000 }
  return (
    <>
      {found.from > 0 && <Histogram bars={bars(span, found.done?.histogram, rows, 60)} dim={!found.fresh} onRange={(from, to) => setRange({ from, to })} />}
      <Summary found={found} stop={stop} yet={false} />
      <div className="split" aria-busy={!found.fresh} style={{ opacity: found.fresh ? 1 : 0.55 }}>
        <div className="grow fill">
          <Table rows={rows} columns={columns} rowKey={keyOf} name={tab} label={t.scheduled.tabs[tab]} end={older} open={open} pick={(m) => set({ sel: m.id })} picked={picked && keyOf(picked)} empty={<NoRows found={found} again={again} yet={false} />} />
        </div>
        {picked && <Preview message={picked} close={() => set({ sel: undefined })} />}
      </div>
    </>
  )
}
