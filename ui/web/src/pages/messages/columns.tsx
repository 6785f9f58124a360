// The table of messages, here and embedded on a topic's page.
import { useMemo } from 'react'
import type { Message } from '../../api/types'
import { now } from '../../app/live'
import { useZone } from '../../app/prefs'
import { useT, type Dictionary } from '../../i18n'
import { dead, discarded, fired, half, hidden, lateMicros, ownerOf, parked, userTopic } from '../../lib/copies'
import { stamp, type Zone } from '../../lib/time'
import { bytes, count, duration, middle } from '../../lib/format'
import { Swatch, Time, TopicName } from '../../parts/small'
import type { Column } from '../../parts/table'

export function useMessageColumns(withTopic = true): Column<Message>[] {
  const t = useT()
  const zone = useZone()
  return useMemo(() => {
    const c = t.messages.columns
    const columns: Column<Message>[] = [
      { id: 'time', label: c.time, width: 118, fixed: true, value: (m) => m.appendedMicros, render: (m) => <Time ms={m.appendedMicros / 1000} precision="ms" /> },
      { id: 'topic', label: c.topic, width: 110, grow: 1, fixed: true, value: userTopic, render: (m) => <span className="cut"><Swatch name={userTopic(m)} /> <TopicName name={userTopic(m)} /></span> },
      { id: 'tag', label: c.tag, width: 98, grow: 0.6, fixed: true, value: (m) => m.tag, render: (m) => (m.tag ? <span className="tag">{m.tag}</span> : '') },
      { id: 'keys', label: c.keys, width: 130, grow: 1.4, fixed: true, value: (m) => m.keys.join(' '), render: (m) => <span className="mono" title={m.keys.slice(0, 20).join('\n')}>{m.keys.slice(0, 5).join(' ')}{m.keys.length > 5 && ` + ${m.keys.length - 5}`}</span> },
      { id: 'size', label: c.size, width: 74, right: true, fixed: true, value: (m) => m.bodyBytes, render: (m) => <span title={`${count(m.bodyBytes)} B`}>{bytes(m.bodyBytes)}</span> },
      { id: 'state', label: c.state, width: 150, grow: 0.8, fixed: true, value: (m) => mark(m, t, zone), render: (m) => <span className={`cut${dead(m) ? ' bad' : ownerOf(m) ? ' warn' : ''}`} title={mark(m, t, zone)}>{mark(m, t, zone)}</span> },
      { id: 'type', label: c.type, width: 92, fixed: true, value: (m) => m.type, render: (m) => <span className="dim">{t.messages.types[m.type] ?? m.type}</span> },
      { id: 'queue', label: c.queue, width: 106, right: true, fixed: true, value: (m) => `${m.queueId}:${m.queueOffset}`, render: (m) => (hidden(m) ? <span className="dim">{m.realQueueId}</span> : <>{m.queueId} : {count(m.queueOffset)}</>) },
      { id: 'accepted', label: c.accepted, width: 88, right: true, fixed: true, value: (m) => (m.ackedMicros > 0 && m.receivedMicros > 0 ? m.ackedMicros - m.receivedMicros : ''), render: (m) => (m.ackedMicros > 0 && m.receivedMicros > 0 ? duration(m.ackedMicros - m.receivedMicros) : <span className="none" title={t.life.item.notRecorded}>?</span>) },
      { id: 'producer', label: c.producer, width: 110, grow: 1, fixed: true, value: (m) => m.producerGroup, render: (m) => <span title={m.producerClient}>{m.producerGroup}</span> },
      { id: 'client', label: c.client, width: 150, grow: 1, fixed: true, hidden: true, value: (m) => m.producerClient, render: (m) => <span className="mono">{m.producerClient}</span> },
      { id: 'retries', label: c.retries, width: 60, right: true, fixed: true, hidden: true, value: (m) => m.reconsumeTimes },
      { id: 'id', label: c.id, width: 132, fixed: true, value: (m) => m.id, render: (m) => <span className="mono" title={m.id}>{middle(m.id)}</span> },
    ]
    return withTopic ? columns : columns.filter((x) => x.id !== 'topic')
  }, [t, zone, withTopic])
}

/** What a copy is, in a few words: it waits, was late, is a retry or a dead letter. */
export function mark(m: Message, t: Dictionary, zone: Zone): string {
  const w = t.messages.marks
  const owner = ownerOf(m)
  const said = dead(m) ? [w.dead(owner)] : m.resentFrom ? [w.resent(owner)] : owner ? [w.retry(m.reconsumeTimes, owner)] : []
  if (m.cancelledMicros) said.push(w.cancelled(stamp(m.cancelledMicros / 1000, zone, now())))
  else if (parked(m)) said.push((m.dueMicros > now() * 1000 ? w.until : w.was)(stamp(m.dueMicros / 1000, zone, now())))
  if (half(m)) said.push(w.half)
  if (discarded(m)) said.push(w.discarded)
  if (fired(m)) said.push(w.late(duration(lateMicros(m))))
  return said.join(', ')
}
