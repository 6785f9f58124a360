// Of a group that consumes in order: which message keeps a queue's others waiting, since when, at which client.
import type { Group, GroupQueue } from '../../api/types'
import { useNow } from '../../app/live'
import { useT } from '../../i18n'
import { age, count } from '../../lib/format'
import { blocked } from '../../lib/reset'
import { Go, TopicName } from '../../parts/small'

const shownMax = 5

export function Heads({ group }: { group: Group }) {
  const t = useT()
  const w = t.heads
  const at = useNow()
  const all = blocked(group, at)
  if (all.length === 0) return null
  return (
    <section className="heads" data-test="heads" aria-label={w.title}>
      <h2 className="warn">! {w.title}</h2>
      <ul className="list">
        {all.slice(0, shownMax).map((q) => <Head key={`${q.broker}/${q.topic}/${q.queueId}`} queue={q} at={at} />)}
      </ul>
      {all.length > shownMax && <span className="dim">{w.more(count(all.length - shownMax))}</span>}
    </section>
  )
}

function Head({ queue: q, at }: { queue: GroupQueue; at: number }) {
  const t = useT()
  const w = t.heads
  const h = q.head!
  const name = h.keys || h.uniqKey || `${q.queueId} : ${count(h.offset)}`
  return (
    <li className="intext" style={{ flexWrap: 'wrap' }}>
      <span><TopicName name={q.topic} /> <span className="dim">{t.groups.queue} {q.queueId}</span></span>
      <span className="mono">{h.uniqKey ? <Go to="/messages/$id" params={{ id: h.uniqKey }}>{name}</Go> : name}</span>
      <b className="warn">{w.since(age(Math.max(0, at - h.sinceAt)))}</b>
      <span>{w.line(count(h.behind))}</span>
      <span className="dim">{h.client ? w.held(h.client) : w.nobody}</span>
      {(h.times ?? 0) > 0 && <span className="dim">{w.times(h.times!)}</span>}
    </li>
  )
}
