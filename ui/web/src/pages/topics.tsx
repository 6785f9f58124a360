// /topics: all topics; who is not read by anybody stands out.
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useRates, useTopics } from '../api/queries'
import type { Topic } from '../api/types'
import { useNow } from '../app/live'
import { carried, useRange, useUrl } from '../app/url'
import { Spark } from '../charts/spark'
import { useT, type Dictionary } from '../i18n'
import { bytes, count, hue, rate } from '../lib/format'
import { resolve, stepFor } from '../lib/range'
import { lastWhole, sparks } from '../lib/series'
import { Answer, Loaded } from '../parts/answer'
import { TextFilter, Toggle } from '../parts/filters'
import { Age, GroupName, Swatch } from '../parts/small'
import { Table, type Column } from '../parts/table'

export function permission(perm: number, t: Dictionary): string {
  const words = [perm & 4 ? t.topics.read : '', perm & 2 ? t.topics.write : '', perm & 1 ? t.topics.inherit : '']
  return words.filter(Boolean).join(' + ') || t.none
}

export function useSparks(by: 'topic' | 'group', steps: string[]) {
  const { range } = useRange()
  const at = useNow(15_000)
  const { from, to } = resolve(range, at)
  const step = stepFor(to - from, 30)
  const rates = useRates({ from, to, step })
  return useMemo(() => sparks(rates.data?.rates ?? [], by, steps, from, to, step), [rates.data, by, steps, from, to, step])
}

const steps = ['store']

function useColumns(lines: Map<string, number[]>): Column<Topic>[] {
  const t = useT()
  return useMemo(() => {
    const c = t.topics
    return [
      { id: 'name', label: c.name, width: 200, grow: 2, value: (r) => r.name, render: (r) => <span className="cut" title={r.name}><Swatch name={r.name} /> {r.name} {r.order && <span className="tag">{c.ordered}</span>}</span> },
      { id: 'rate', label: c.rate, width: 116, right: true, value: (r) => lastWhole(lines.get(r.name)), render: (r) => (lines.has(r.name) ? rate(lastWhole(lines.get(r.name))) : <span className="dim">–</span>) },
      { id: 'trend', label: c.trend, width: 124, fixed: true, value: (r) => (lines.get(r.name) ?? []).map((v) => v.toFixed(1)).join(' '), render: (r) => <Spark values={lines.get(r.name)} color={`var(--h${hue(r.name)})`} /> },
      { id: 'messages', label: c.messages, width: 120, right: true, value: (r) => r.messages, render: (r) => count(r.messages) },
      { id: 'total', label: c.total, width: 120, right: true, value: (r) => r.messagesInTotal, render: (r) => count(r.messagesInTotal) },
      { id: 'bytes', label: c.bytes, width: 90, right: true, value: (r) => r.bytesInTotal, render: (r) => <span title={`${count(r.bytesInTotal)} B`}>{bytes(r.bytesInTotal)}</span> },
      { id: 'queues', label: c.queues, width: 76, right: true, value: (r) => r.writeQueues, render: (r) => (r.readQueues === r.writeQueues ? r.writeQueues : `${r.readQueues} / ${r.writeQueues}`) },
      { id: 'groups', label: c.groups, width: 130, grow: 1.4, value: (r) => r.groups.join(' '), render: (r) => <Readers topic={r} /> },
      { id: 'last', label: c.last, width: 110, right: true, value: (r) => r.lastStoredAt, render: (r) => <Age ms={r.lastStoredAt} /> },
      { id: 'perm', label: c.perm, width: 110, hidden: true, value: (r) => permission(r.perm, t) },
      { id: 'type', label: c.type, width: 110, hidden: true, value: (r) => r.attributes?.['message.type'] ?? '' },
    ]
  }, [t, lines])
}

function Readers({ topic }: { topic: Topic }) {
  const t = useT()
  if (topic.groups.length === 0) return topic.messages > 0 && !topic.system ? <span className="tag warn">! {t.topics.nobody}</span> : <span className="dim">–</span>
  return <>{topic.groups.map((g, i) => <span key={g}>{i > 0 && ', '}<GroupName name={g} /></span>)}</>
}

export function TopicsPage() {
  const t = useT()
  const query = useTopics()
  const columns = useColumns(useSparks('topic', steps))
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
            rows={rows} columns={columns} rowKey={(r) => r.name} label={t.topics.title} name="topics" filter={params.q} sort="rate.desc" open={open} updatedAt={query.dataUpdatedAt}
            empty={<Answer title={rows.length ? t.topics.noneMatch(params.q ?? '') : t.topics.empty} />}
          />
        )}
      </Loaded>
    </>
  )
}
