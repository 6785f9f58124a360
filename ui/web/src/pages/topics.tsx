// /topics: all topics; who is not read by anybody stands out.
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useTopics } from '../api/queries'
import type { Topic } from '../api/types'
import { carried, useUrl } from '../app/url'
import { Spark } from '../charts/spark'
import { useT, type Dictionary } from '../i18n'
import { bytes, count, hue, rate } from '../lib/format'
import { note, rateOf, samplesOf, trendOf } from '../lib/totals'
import { Answer, Loaded } from '../parts/answer'
import { TextFilter, Toggle } from '../parts/filters'
import { Age, GroupName, Swatch } from '../parts/small'
import { Table, type Column } from '../parts/table'

export function permission(perm: number, t: Dictionary): string {
  const words = [perm & 4 ? t.topics.read : '', perm & 2 ? t.topics.write : '', perm & 1 ? t.topics.inherit : '']
  return words.filter(Boolean).join(' + ') || t.none
}

/** Notes each poll's totals; what it gives changes with each poll. */
export function useTotals(kind: string, at: number, totals: () => [string, number][]): number {
  return useMemo(() => {
    note(kind, at, totals())
    return at
    // the totals belong to the poll at this time
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [kind, at])
}

function useColumns(polled: number): Column<Topic>[] {
  const t = useT()
  return useMemo(() => {
    const c = t.topics
    const rateIn = (r: Topic) => rateOf(samplesOf('topics', r.name))
    return [
      { id: 'name', label: c.name, width: 200, grow: 2, value: (r) => r.name, render: (r) => <span className="cut" title={r.name}><Swatch name={r.name} /> {r.name} {r.order && <span className="tag">{c.ordered}</span>}</span> },
      { id: 'rate', label: c.rate, width: 116, right: true, value: (r) => rateIn(r) ?? -1, render: (r) => <Rate value={rateIn(r)} /> },
      { id: 'trend', label: c.trend, width: 124, fixed: true, value: (r) => trendOf(samplesOf('topics', r.name)).map((v) => v.toFixed(1)).join(' '), render: (r) => <Spark values={trendOf(samplesOf('topics', r.name))} color={`var(--h${hue(r.name)})`} /> },
      { id: 'messages', label: c.messages, width: 120, right: true, value: (r) => r.messages, render: (r) => count(r.messages) },
      { id: 'total', label: c.total, width: 120, right: true, value: (r) => r.messagesInTotal, render: (r) => count(r.messagesInTotal) },
      { id: 'bytes', label: c.bytes, width: 90, right: true, value: (r) => r.bytesInTotal, render: (r) => <span title={`${count(r.bytesInTotal)} B`}>{bytes(r.bytesInTotal)}</span> },
      { id: 'queues', label: c.queues, width: 76, right: true, value: (r) => r.writeQueues, render: (r) => (r.readQueues === r.writeQueues ? r.writeQueues : `${r.readQueues} / ${r.writeQueues}`) },
      { id: 'groups', label: c.groups, width: 130, grow: 1.4, value: (r) => r.groups.join(' '), render: (r) => <Readers topic={r} /> },
      { id: 'last', label: c.last, width: 110, right: true, value: (r) => r.lastStoredAt, render: (r) => <Age ms={r.lastStoredAt} /> },
      { id: 'perm', label: c.perm, width: 110, hidden: true, value: (r) => permission(r.perm, t) },
      { id: 'type', label: c.type, width: 110, hidden: true, value: (r) => r.attributes?.['message.type'] ?? '' },
    ]
    // eslint-disable-next-line react-hooks/exhaustive-deps -- rates are read anew after each poll
  }, [t, polled])
}

export function Rate({ value }: { value: number | undefined }) {
  return value === undefined ? <span className="dim">–</span> : <span className={value ? '' : 'dim'}>{rate(value)}</span>
}

function Readers({ topic }: { topic: Topic }) {
  const t = useT()
  if (topic.groups.length === 0) return topic.messages > 0 && !topic.system ? <span className="tag warn">! {t.topics.nobody}</span> : <span className="dim">–</span>
  return <span className="cut" title={topic.groups.slice(0, 20).join('\n')}>{topic.groups.map((g, i) => <span key={g}>{i > 0 && ', '}<GroupName name={g} room={24} /></span>)}</span>
}

export function TopicsPage() {
  const t = useT()
  const query = useTopics()
  const columns = useColumns(useTotals('topics', query.dataUpdatedAt, () => (query.data?.topics ?? []).map((r) => [r.name, r.messagesInTotal])))
  const navigate = useNavigate()
  const [params] = useUrl()
  const system = params.system === '1'
  const rows = useMemo(() => (query.data?.topics ?? []).filter((r) => system || !r.system), [query.data, system])
  const open = (r: Topic, newTab: boolean) => (newTab ? void window.open(`/topics/${encodeURIComponent(r.name)}`, '_blank', 'noopener') : void navigate({ to: '/topics/$topic', params: { topic: r.name } as never, search: carried(params) as never }))
  const kept = rows.reduce((n, r) => n + r.messages, 0)
  return (
    <>
      <div className="head">
        <h1>{t.topics.title}</h1>
        {query.data && <span className="say">{t.topics.sentence(count(rows.length), count(kept))}</span>}
      </div>
      <div className="strip">
        <TextFilter what={t.topics.title} />
        <Toggle name="system" label={t.topics.system} />
      </div>
      <Loaded query={query}>
        {() => (
          <Table
            rows={rows} columns={columns} rowKey={(r) => r.name} label={t.topics.title} name="topics" filter={params.q} sort="total.desc" open={open} updatedAt={query.dataUpdatedAt}
            empty={<Answer title={rows.length ? t.topics.noneMatch(params.q ?? '') : t.topics.empty} />}
          />
        )}
      </Loaded>
    </>
  )
}
