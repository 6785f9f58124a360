// /dlq: groups with dead letters; /dlq/$group: the letters of one, each with its story beside it.
import { useNavigate, useParams } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { useOverview, useTopics } from '../api/queries'
import type { Message, Topic } from '../api/types'
import { now } from '../app/live'
import { copy } from '../app/say'
import { carried, useRange, useUrl } from '../app/url'
import { Histogram } from '../charts/histogram'
import { useT } from '../i18n'
import { bars } from '../lib/buckets'
import { brokerCli } from '../lib/cli'
import { userTopic } from '../lib/copies'
import { count, middle } from '../lib/format'
import { resolve } from '../lib/range'
import { Answer, Loaded } from '../parts/answer'
import { TextFilter } from '../parts/filters'
import { Age, Go, GroupName, Swatch, Time, TopicName } from '../parts/small'
import { Table, type Column } from '../parts/table'
import { NoRows, Summary } from './messages/answer'
import { Value } from './messages/filters'
import { useOpenMessage } from './messages/page'
import { Preview } from './messages/preview'
import { keyOf, useSearchStream } from './messages/stream'

const prefix = '%DLQ%'
const groupOf = (t: Topic) => t.name.slice(prefix.length)

export function DeadPage() {
  const t = useT()
  const query = useTopics()
  const navigate = useNavigate()
  const [params] = useUrl()
  const rows = useMemo(() => (query.data?.topics ?? []).filter((x) => x.name.startsWith(prefix) && x.messages > 0), [query.data])
  const columns = useMemo<Column<Topic>[]>(
    () => [
      { id: 'group', label: t.dead.group, width: 260, grow: 2, value: groupOf, render: (r) => <Go to="/dlq/$group" params={{ group: groupOf(r) }}>{groupOf(r)}</Go> },
      { id: 'letters', label: t.dead.letters, width: 140, right: true, value: (r) => r.messages, render: (r) => count(r.messages) },
      { id: 'last', label: t.dead.last, width: 140, right: true, value: (r) => r.lastStoredAt, render: (r) => (r.lastStoredAt ? <Age ms={r.lastStoredAt} /> : '') },
    ],
    [t],
  )
  const total = rows.reduce((n, r) => n + r.messages, 0)
  const go = (r: Topic) => void navigate({ to: '/dlq/$group', params: { group: groupOf(r) } as never, search: carried(params) as never })
  return (
    <>
      <div className="head">
        <h1>{t.dead.title}</h1>
        {rows.length > 0 && <span className="say">{t.dead.sentence(count(total), count(rows.length))}</span>}
      </div>
      <div className="strip"><TextFilter what={t.dead.group} /><span className="grow" /><span className="dim" style={{ fontSize: 13 }}>{t.dead.oldest}</span></div>
      <Loaded query={query}>
        {() => (
          <div className="grow fill">
            <Table rows={rows} columns={columns} rowKey={(r) => r.name} label={t.dead.title} name="dead-letters" filter={params.q} sort="letters.desc" open={go} updatedAt={query.dataUpdatedAt} empty={<Answer tone="ok" title={t.dead.empty}><p>{t.dead.emptyText}</p></Answer>} />
          </div>
        )}
      </Loaded>
    </>
  )
}

function useColumns(): Column<Message>[] {
  const t = useT()
  return useMemo(() => {
    const c = t.messages.columns
    return [
      { id: 'died', label: t.dead.died, width: 118, fixed: true, value: (m) => m.appendedMicros, render: (m) => <Time ms={m.appendedMicros / 1000} precision="ms" /> },
      { id: 'topic', label: t.dead.topic, width: 130, grow: 1, fixed: true, value: userTopic, render: (m) => <span className="cut"><Swatch name={userTopic(m)} /> <TopicName name={userTopic(m)} /></span> },
      { id: 'tag', label: c.tag, width: 98, grow: 0.5, fixed: true, value: (m) => m.tag, render: (m) => (m.tag ? <span className="tag">{m.tag}</span> : '') },
      { id: 'keys', label: c.keys, width: 130, grow: 1.2, fixed: true, value: (m) => m.keys.join(' '), render: (m) => <span className="mono">{m.keys.slice(0, 5).join(' ')}</span> },
      { id: 'attempts', label: t.dead.attempts, width: 84, right: true, fixed: true, value: (m) => m.reconsumeTimes },
      { id: 'queue', label: c.queue, width: 106, right: true, fixed: true, value: (m) => `${m.queueId}:${m.queueOffset}`, render: (m) => <>{m.queueId} : {count(m.queueOffset)}</> },
      { id: 'id', label: c.id, width: 132, fixed: true, value: (m) => m.id, render: (m) => <span className="mono" title={m.id}>{middle(m.id)}</span> },
    ]
  }, [t])
}

export function DeadGroupPage() {
  const t = useT()
  const { group } = useParams({ strict: false }) as { group: string }
  const [params, set] = useUrl()
  const { range, setRange } = useRange()
  const window = useCallback(() => resolve(range, now() + ('last' in range ? 2000 : 0)), [range])
  const { found, stop, older, again } = useSearchStream({ state: 'dead', topic: prefix + group, key: params.key }, window)
  const columns = useColumns()
  const open = useOpenMessage()
  const rows = found.messages
  const picked = rows.find((m) => m.id === params.sel)
  return (
    <>
      <div className="head">
        <h1>{t.dead.ofGroup(group)}</h1>
        <span className="acts"><GroupName name={group} /> <Go to="/dlq" className="act quiet">{t.dead.title}</Go></span>
      </div>
      <div className="strip">
        <Value name="key" first={params.key ?? ''} width={240} autoFocus={false} placeholder={t.messages.keyPlaceholder} done={(v) => v !== (params.key ?? '') && set({ key: v || undefined, sel: undefined }, false)} />
      </div>
      {found.from > 0 && <Histogram bars={bars({ from: found.from * 1000, to: found.to * 1000 }, found.done?.histogram, rows, 60)} dim={!found.fresh} onRange={(from, to) => setRange({ from, to })} />}
      <Summary found={found} stop={stop} yet={false} />
      <div className="split" style={{ opacity: found.fresh ? 1 : 0.55 }}>
        <div className="grow fill">
          <Table rows={rows} columns={columns} rowKey={keyOf} name={`dead-letters-${group}`} label={t.dead.ofGroup(group)} end={older} open={open} pick={(m) => set({ sel: m.id })} picked={picked && keyOf(picked)} empty={<NoRows found={found} again={again} yet={false} />} />
        </div>
        {picked && <Preview message={picked} close={() => set({ sel: undefined })} acts={<Resend message={picked} group={group} />} />}
      </div>
    </>
  )
}

/** The console resends nothing itself: it tells how. */
function Resend({ message: m, group }: { message: Message; group: string }) {
  const t = useT()
  const broker = useOverview().data?.node.storeHost ?? '127.0.0.1:10911'
  return <button type="button" className="act" onClick={() => void copy(brokerCli(['dlq', 'resend', group, String(m.queueOffset), '--groups', m.broker], broker), t.dead.resendNote)}>{t.dead.resend}</button>
}
