// /groups/$group: is it keeping up, where not, who is in it, do they agree.
import { useParams } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { ApiError, path } from '../api/client'
import { useGroup, useRates } from '../api/queries'
import type { Group } from '../api/types'
import { useNow } from '../app/live'
import { copy } from '../app/say'
import { useNames } from '../app/search'
import { useRange, useUrl } from '../app/url'
import { LineChart } from '../charts/line'
import { useT } from '../i18n'
import { apiCall } from '../lib/cli'
import { near } from '../lib/ids'
import { age, count, duration, rate } from '../lib/format'
import { resolve, stepFor } from '../lib/range'
import { fromRates } from '../lib/series'
import { Answer, Loaded } from '../parts/answer'
import { Act } from '../parts/dialog'
import { Tabs } from '../parts/panel'
import { Freshness, Go, GroupName } from '../parts/small'
import { CloneDialog } from './group/clone'
import { Heads } from './group/heads'
import { Members } from './group/members'
import { Queues } from './group/queues'
import { ResetDialog } from './group/reset'
import { Subscriptions } from './group/subscriptions'

export function GroupPage() {
  const { group } = useParams({ strict: false }) as { group: string }
  const t = useT()
  const query = useGroup(group)
  const meant = near(group, useNames(query.error !== null).groups)
  if (query.error instanceof ApiError && query.error.problem.status === 404 && !query.data) {
    return (
      <Answer tone="none" title={t.groups.unknown(group)} acts={<Go to="/groups" className="act">{t.pages.groups}</Go>}>
        <p>{t.groups.unknownNext}</p>
        {meant.length > 0 && <p>{t.topics.maybe} {meant.map((name) => <span key={name} style={{ marginRight: 10 }}><GroupName name={name} /></span>)}</p>}
      </Answer>
    )
  }
  return <Loaded query={query}>{(data) => <Known group={data} updatedAt={query.dataUpdatedAt} />}</Loaded>
}

const tabIds = ['queues', 'members', 'subscriptions'] as const

function Known({ group, updatedAt }: { group: Group; updatedAt: number }) {
  const t = useT()
  const [params, set] = useUrl()
  const [act, setAct] = useState<'reset' | 'clone' | undefined>()
  const tab = tabIds.find((x) => x === params.tab) ?? 'queues'
  const counts: Record<string, string> = { queues: count(group.queues?.length ?? 0), members: count(group.members.length), subscriptions: group.subscriptionsConsistent ? count(group.subscriptions.length) : '!' }
  return (
    <>
      <div className="head">
        <h1>{group.name}</h1>
        <Sentence group={group} />
        <span className="acts">
          <Freshness at={updatedAt} />
          <Act test="reset" onClick={() => setAct('reset')}>{t.reset.open}</Act>
          <Act test="clone" onClick={() => setAct('clone')}>{t.clone.open}</Act>
          <Go to="/messages" className="act" search={{ group: group.name }}>{t.groups.searchHere}</Go>
          <button type="button" className="act quiet" onClick={() => void copy(apiCall(path(`/groups/${encodeURIComponent(group.name)}`), location.origin), t.life.apiNote)}>{t.asApi}</button>
        </span>
      </div>
      <Heads group={group} />
      <GroupRates group={group.name} />
      <Tabs tabs={tabIds.map((id) => ({ id, label: t.groups.tabs[id], count: counts[id] }))} value={tab} label={group.name} onChange={(id) => set({ tab: id === 'queues' ? undefined : id, sort: undefined })} />
      {tab === 'queues' && <Queues group={group} />}
      {tab === 'members' && <Members group={group} />}
      {tab === 'subscriptions' && <Subscriptions group={group} />}
      {act === 'reset' && <ResetDialog group={group} close={() => setAct(undefined)} />}
      {act === 'clone' && <CloneDialog group={group} close={() => setAct(undefined)} />}
    </>
  )
}

function Sentence({ group: g }: { group: Group }) {
  const t = useT()
  const at = useNow()
  const parts: { text: string; tone: string }[] = []
  if (!g.consumeEnable) parts.push({ text: t.groups.disabled, tone: 'bad' })
  parts.push(g.lagMessages ? { text: t.groups.behind(count(g.lagMessages)), tone: !g.online || at - g.oldestWaitingAt > 60e3 ? 'warn' : '' } : { text: t.groups.keepsUp, tone: '' })
  if (g.oldestWaitingAt) parts.push({ text: t.groups.oldestFor(age(Math.max(0, at - g.oldestWaitingAt))), tone: '' })
  parts.push(g.online ? { text: t.groups.membersOnline(g.members.length), tone: '' } : { text: t.groups.nobodyOnline, tone: g.lagMessages ? 'bad' : 'warn' })
  if (!g.subscriptionsConsistent) parts.push({ text: `${t.groups.subscriptions}: ${t.groups.differ}`, tone: 'warn' })
  return (
    <span className="say" data-test="state">
      {parts.map((p, i) => (
        <span key={p.text}>
          {i > 0 && ' · '}
          <span className={p.tone}>{p.text}</span>
        </span>
      ))}
    </span>
  )
}

function GroupRates({ group }: { group: string }) {
  const t = useT()
  const at = useNow(5000)
  const { range, setRange } = useRange()
  const { from, to } = resolve(range, at)
  const step = stepFor(to - from, 240)
  const query = useRates({ from, to, step, group })
  const series = useMemo(() => fromRates((query.data?.rates ?? []).filter((r) => r.group === group), from, to, step), [query.data, group, from, to, step])
  const lines = useMemo(
    () => ({
      flow: [{ id: 'deliver', label: t.overview.deliver, color: '--work', fill: true }, { id: 'ack', label: t.overview.ack, color: '--ok', dash: [5, 3] }],
      latency: [{ id: 'deliverP99', label: t.overview.handed, color: '--h1' }, { id: 'processP99', label: t.overview.processed, color: '--work', dash: [5, 3] }],
    }),
    [t],
  )
  const shared = { x: series.x, values: series.lines, from, to, height: 110, onRange: (a: number, b: number) => setRange({ from: a, to: b }), missing: query.error ? t.trail.down : undefined }
  return (
    <div className="grid2">
      <LineChart {...shared} title={t.groups.rateTitle} lines={lines.flow} format={rate} />
      <LineChart {...shared} title={t.overview.latency} note={t.overview.latencyNote} lines={lines.latency} log format={duration} />
    </div>
  )
}
