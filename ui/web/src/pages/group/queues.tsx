// A group's place in each queue: how far behind, and who asked last.
import { useMemo } from 'react'
import type { Group, GroupQueue } from '../../api/types'
import { useUrl } from '../../app/url'
import { useT } from '../../i18n'
import { count } from '../../lib/format'
import { Answer } from '../../parts/answer'
import { Age, Swatch, TopicName } from '../../parts/small'
import { Table, type Column } from '../../parts/table'

export function Queues({ group }: { group: Group }) {
  const t = useT()
  const [params] = useUrl()
  const queues = group.queues ?? []
  const most = Math.max(1, ...queues.map((q) => q.lagMessages))
  const several = new Set(queues.map((q) => q.broker)).size > 1
  const online = useMemo(() => new Set(group.members.map((m) => m.clientId)), [group.members])
  const columns = useMemo<Column<GroupQueue>[]>(() => {
    const c = t.groups
    return [
      { id: 'topic', label: c.topic, width: 140, grow: 1, value: (q) => q.topic, render: (q) => <span className="cut"><Swatch name={q.topic} /> <TopicName name={q.topic} /></span> },
      { id: 'broker', label: c.broker, width: 90, hidden: !several, value: (q) => q.broker },
      { id: 'queue', label: c.queue, width: 66, right: true, value: (q) => q.queueId },
      { id: 'lag', label: c.lag, width: 90, right: true, value: (q) => q.lagMessages, render: (q) => <span className={q.lagMessages ? 'warn' : 'dim'}>{count(q.lagMessages)}</span> },
      { id: 'bar', label: '', width: 110, grow: 0.6, fixed: true, value: (q) => q.lagMessages, render: (q) => <div className="meter"><i style={{ width: `${(100 * q.lagMessages) / most}%`, background: 'var(--warn)' }} /></div> },
      { id: 'committed', label: c.committed, width: 110, right: true, value: (q) => q.committed, render: (q) => (q.committed < 0 ? <span className="none">{t.never}</span> : count(q.committed)) },
      { id: 'max', label: c.max, width: 110, right: true, value: (q) => q.max, render: (q) => count(q.max) },
      { id: 'min', label: c.min, width: 110, right: true, value: (q) => q.min, render: (q) => (q.committed >= 0 && q.committed < q.min ? <span className="bad" title={c.lostUnread(count(q.min - q.committed))}>✕ {count(q.min)}</span> : count(q.min)) },
      { id: 'owner', label: c.owner, width: 170, grow: 1.4, value: (q) => q.client, render: (q) => <Owner queue={q} online={online.has(q.client)} /> },
      { id: 'pull', label: c.lastPull, width: 110, right: true, value: (q) => q.lastPullAt, render: (q) => <Age ms={q.lastPullAt} /> },
      { id: 'commit', label: c.lastCommit, width: 110, right: true, value: (q) => q.lastCommitAt, render: (q) => <Age ms={q.lastCommitAt} /> },
    ]
  }, [t, most, online, several])
  return <Table rows={queues} columns={columns} rowKey={(q) => `${q.broker}/${q.topic}/${q.queueId}`} label={t.groups.tabs.queues} name={`queues-${group.name}`} filter={params.q} sort="lag.desc" empty={<Answer tone="none" title={t.groups.noQueues} />} />
}

function Owner({ queue, online }: { queue: GroupQueue; online: boolean }) {
  const t = useT()
  if (!queue.client) return <span className="dim">{t.groups.noOwner}</span>
  return (
    <span className="mono" title={queue.client}>
      {queue.client} {!online && <span className="none">({t.groups.notOnline})</span>}
    </span>
  )
}
