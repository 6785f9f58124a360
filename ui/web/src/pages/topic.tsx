// /topics/$topic: queues, rates, newest messages, groups on one page.
import { useParams } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { path } from '../api/client'
import { useGroups, useRates, useTopic } from '../api/queries'
import type { Topic } from '../api/types'
import { now, useNow } from '../app/live'
import { copy } from '../app/say'
import { useNames } from '../app/search'
import { useRange, useUrl } from '../app/url'
import { LineChart } from '../charts/line'
import { useT } from '../i18n'
import { apiCall } from '../lib/cli'
import { near } from '../lib/ids'
import { count, hue, rate } from '../lib/format'
import { resolve, stepFor } from '../lib/range'
import { fromRates } from '../lib/series'
import { ApiError } from '../api/client'
import { Answer, Loaded } from '../parts/answer'
import { Tabs } from '../parts/panel'
import { Age, Freshness, Go, GroupName, Swatch, TopicName } from '../parts/small'
import { Table } from '../parts/table'
import { NoRows, Summary } from './messages/answer'
import { useMessageColumns } from './messages/columns'
import { useOpenMessage } from './messages/page'
import { Preview } from './messages/preview'
import { keyOf, useSearchStream } from './messages/stream'
import { GroupState } from './overview/lists'
import { permission } from './topics'

export function TopicPage() {
  const { topic } = useParams({ strict: false }) as { topic: string }
  const t = useT()
  const query = useTopic(topic)
  const meant = near(topic, useNames(query.error !== null).topics)
  if (query.error instanceof ApiError && query.error.problem.status === 404 && !query.data) {
    return (
      <Answer tone="none" title={t.topics.unknown(topic)} acts={<Go to="/topics" className="act">{t.pages.topics}</Go>}>
        <p>{t.topics.unknownNext}</p>
        {meant.length > 0 && <p>{t.topics.maybe} {meant.map((name) => <span key={name} style={{ marginRight: 10 }}><TopicName name={name} /></span>)}</p>}
      </Answer>
    )
  }
  return <Loaded query={query}>{(data) => <Known topic={data} updatedAt={query.dataUpdatedAt} />}</Loaded>
}

const tabIds = ['overview', 'messages', 'groups'] as const

function Known({ topic, updatedAt }: { topic: Topic; updatedAt: number }) {
  const t = useT()
  const [params, set] = useUrl()
  const tab = tabIds.find((x) => x === params.tab) ?? 'overview'
  const counts: Record<string, string | undefined> = { overview: count(topic.queues?.length ?? 0), groups: count(topic.groups.length) }
  return (
    <>
      <div className="head">
        <h1><Swatch name={topic.name} /> {topic.name}</h1>
        <span className="say">
          {t.topics.one(count(topic.messages), topic.queues?.length ?? 0)} · {permission(topic.perm, t)} · <span className={topic.groups.length || topic.system ? '' : 'warn'}>{t.topics.readBy(topic.groups.length)}</span>
          {topic.attributes?.['message.type'] && <> · {topic.attributes['message.type']}</>} {topic.order && <span className="tag">{t.topics.ordered}</span>}
        </span>
        <span className="acts">
          <Freshness at={updatedAt} />
          <Go to="/messages" className="act" search={{ topic: topic.name }}>{t.topics.searchHere}</Go>
          <button type="button" className="act quiet" onClick={() => void copy(apiCall(path(`/topics/${encodeURIComponent(topic.name)}`), location.origin), t.life.apiNote)}>{t.asApi}</button>
        </span>
      </div>
      <TopicRates topic={topic.name} />
      <Tabs tabs={tabIds.map((id) => ({ id, label: t.topics.tabs[id], count: counts[id] }))} value={tab} label={t.topics.title} onChange={(id) => set({ tab: id === 'overview' ? undefined : id, sel: undefined, sort: undefined })} />
      {tab === 'overview' && <Queues topic={topic} />}
      {tab === 'messages' && <Newest topic={topic.name} />}
      {tab === 'groups' && <Readers topic={topic} />}
    </>
  )
}

function TopicRates({ topic }: { topic: string }) {
  const t = useT()
  const at = useNow(5000)
  const { range, setRange } = useRange()
  const { from, to } = resolve(range, at)
  const step = stepFor(to - from, 240)
  const query = useRates({ from, to, step, topic })
  const series = useMemo(() => fromRates((query.data?.rates ?? []).filter((r) => r.topic === topic), from, to, step), [query.data, topic, from, to, step])
  const lines = useMemo(() => [{ id: 'store', label: t.overview.store, color: `--h${hue(topic)}`, fill: true }, { id: 'deliver', label: t.overview.deliver, color: '--work' }], [t, topic])
  return (
    <div className="grid2 one">
      <LineChart title={t.topics.rateTitle} x={series.x} lines={lines} values={series.lines} from={from} to={to} format={rate} height={110} onRange={(a, b) => setRange({ from: a, to: b })} missing={query.error ? t.trail.down : undefined} />
    </div>
  )
}

function Queues({ topic }: { topic: Topic }) {
  const t = useT()
  const queues = topic.queues ?? []
  const most = Math.max(1, ...queues.map((q) => q.max - q.min))
  const several = new Set(queues.map((q) => q.broker)).size > 1
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label={t.topics.tabs.overview}>
      <table className="plain-table tight">
        <thead>
          <tr>
            {several && <th scope="col">{t.topics.broker}</th>}
            <th scope="col" className="num">{t.topics.queue}</th><th scope="col" className="num">{t.topics.min}</th><th scope="col" className="num">{t.topics.max}</th><th scope="col" className="num">{t.topics.kept}</th>
            <th scope="col">{t.topics.share}</th><th scope="col" className="num">{t.topics.last}</th>
          </tr>
        </thead>
        <tbody>
          {queues.map((q) => (
            <tr key={`${q.broker}/${q.id}`}>
              {several && <td>{q.broker}</td>}
              <td className="num">{q.id}</td><td className="num">{count(q.min)}</td><td className="num">{count(q.max)}</td><td className="num">{count(q.max - q.min)}</td>
              <td><div className="meter" title={`${((100 * (q.max - q.min)) / Math.max(1, topic.messages)).toFixed(1)} %`}><i style={{ width: `${(100 * (q.max - q.min)) / most}%` }} /></div></td>
              <td className="num"><Age ms={q.lastStoredAt} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Newest({ topic }: { topic: string }) {
  const t = useT()
  const { range } = useRange()
  const [params, set] = useUrl()
  const window = useCallback(() => resolve(range, now() + ('last' in range ? 2000 : 0)), [range])
  const query = useMemo(() => ({ topic }), [topic])
  const { found, stop, older, again } = useSearchStream(query, window)
  const columns = useMessageColumns(false)
  const open = useOpenMessage()
  const picked = found.messages.find((m) => m.id === params.sel)
  return (
    <>
      <div style={{ height: 8 }} />
      <Summary found={found} stop={stop} yet={false} />
      <div className="split">
        <div className="grow fill">
          <Table rows={found.messages} columns={columns} rowKey={keyOf} label={t.topics.tabs.messages} name={`messages-${topic}`} end={older} open={open} pick={(m) => set({ sel: m.id })} picked={picked && keyOf(picked)} empty={<NoRows found={found} again={again} yet={false} />} />
        </div>
        {picked && <Preview message={picked} close={() => set({ sel: undefined })} />}
      </div>
    </>
  )
}

function Readers({ topic }: { topic: Topic }) {
  const t = useT()
  const groups = useGroups().data?.groups.filter((g) => topic.groups.includes(g.name)) ?? []
  if (topic.groups.length === 0) return <Answer tone="none" title={t.topics.readBy(0)} />
  return (
    <table className="plain-table">
      <thead><tr><th scope="col">{t.groups.name}</th><th scope="col">{t.groups.state}</th><th scope="col" className="num">{t.groups.members}</th><th scope="col" className="num">{t.groups.lag}</th><th scope="col">{t.groups.expression}</th></tr></thead>
      <tbody>
        {groups.map((g) => (
          <tr key={g.name}>
            <td><GroupName name={g.name} /></td><td><GroupState group={g} /></td><td className="num">{g.members.length}</td><td className="num">{count(g.lagMessages)}</td>
            <td className="mono">{g.subscriptions.filter((s) => s.topic === topic.name).map((s) => s.expression).join('   ')}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
