// Who the message is: ID, topic, tag, keys, sizes, and how much of its life is recorded.
import { useState, type ReactNode } from 'react'
import type { MessageLife } from '../../api/types'
import { now } from '../../app/live'
import { useT } from '../../i18n'
import { bytes, count, duration } from '../../lib/format'
import { parked, userTopic } from '../../lib/copies'
import { copiesOf } from '../../lib/waterfall/model'
import { Copy, Id, Swatch, Time, TimeAge, TopicName } from '../../parts/small'

export function Header({ life, acts }: { life: MessageLife; acts: ReactNode }) {
  const t = useT()
  const copies = copiesOf(life)
  const m = copies[0]
  return (
    <>
      <div className="life-head">
        <h1 className="row">
          <Swatch name={userTopic(m)} /> <TopicName name={userTopic(m)} /> {m.tag && <span className="tag">{m.tag}</span>}
        </h1>
        <span className="row" data-test="message-id">
          <span className="mono" style={{ fontSize: 13 }} title={m.id}>{m.id}</span>
          <Copy text={m.id} what={t.messages.id} />
        </span>
        <Completeness life={life} />
        <span className="acts row" style={{ marginLeft: 'auto' }}>{acts}</span>
      </div>
      <div className="life-facts">
        <Keys keys={m.keys} />
        <span><span className="dim">{t.life.body}</span> <span title={`${count(m.bodyBytes)} B`}>{bytes(m.bodyBytes)}</span></span>
        <span><span className="dim">{t.life.stored}</span> <TimeAge ms={m.appendedMicros / 1000} /></span>
        <span className="dim">{t.messages.types[m.type] ?? m.type} · {parked(m) ? t.life.queueLater(String(m.realQueueId)) : t.life.queue(String(m.queueId), count(m.queueOffset))}</span>
        {parked(m) && <span><span className="dim">{t.life.planned}</span> <Time ms={m.dueMicros / 1000} /></span>}
        <span><span className="dim">{t.life.offsetId}</span> <Id id={m.offsetId} what={t.life.offsetId} /></span>
        {life.life.traceId && (
          <span title={m.traceIn ? t.life.ofTrace : t.life.derived}><span className="dim">{t.life.traceId}</span> <Id id={life.life.traceId} what={t.life.traceId} /></span>
        )}
        {copies.length > 1 && <span className="tag warn">↻ {t.life.copies(copies.length)}</span>}
      </div>
      <Notes life={life} />
    </>
  )
}

const keysShown = 5

export function Keys({ keys, bare = false }: { keys: string[]; bare?: boolean }) {
  const t = useT()
  const [all, setAll] = useState(false)
  return (
    <>
      {(all ? keys : keys.slice(0, keysShown)).map((k, i) => (
        <span key={i}>{!bare && <span className="dim">{t.life.key} </span>}<Id id={k} what={t.life.key} whole /></span>
      ))}
      {keys.length > keysShown && <button type="button" className="act quiet" aria-expanded={all} onClick={() => setAll(!all)}>{all ? t.life.collapse : t.life.moreKeys(count(keys.length - keysShown))}</button>}
    </>
  )
}

function Completeness({ life }: { life: MessageLife }) {
  const t = useT()
  const whole = life.stepsRecorded >= life.stepsExpected
  return (
    <span className={whole ? 'tag ok' : 'tag warn'} title={t.life.completeHint} data-test="completeness">
      {whole ? `✓ ${t.life.complete}` : `? ${t.life.incomplete}`} · {t.life.steps(life.stepsRecorded, life.stepsExpected)}
    </span>
  )
}

const late = 10e6

function Notes({ life }: { life: MessageLife }) {
  const t = useT()
  const l = life.life
  const behind = l.shippedToMicros ? now() * 1000 - l.shippedToMicros : 0
  const say: { tone: string; text: string }[] = []
  if (l.answer === 'failed') say.push({ tone: 'bad', text: `✕ ${t.life.answers.failed}. ${t.life.answers.failedText} ${l.reason ?? ''}` })
  else if (l.answer === 'not-recorded') say.push({ tone: 'none', text: `? ${t.life.answers['not-recorded']}. ${l.reason ?? t.life.answers.notRecordedText}` })
  else if (l.messages.length === 0) say.push({ tone: 'warn', text: `! ${t.life.onlyStored}` })
  if (l.messages.length > 0 && life.stored === null) say.push({ tone: 'none', text: `? ${t.life.gone}` })
  if (behind > late) say.push({ tone: 'warn', text: `! ${t.life.shippedTo(duration(behind))}` })
  for (const h of l.notRecorded) say.push({ tone: 'none', text: `? ${t.life.item.hole(count(h.notRecorded))}: ${h.reason}` })
  if (say.length === 0) return null
  return (
    <div style={{ padding: '0 var(--gutter) 6px', fontSize: 13 }} role="status">
      {say.map((s) => (
        <div key={s.text} className={s.tone}>{s.text}</div>
      ))}
    </div>
  )
}
