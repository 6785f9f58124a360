// The picked row beside the table: its facts and where it is now.
import type { ReactNode } from 'react'
import type { Message } from '../../api/types'
import { useLife } from '../../api/queries'
import { useT } from '../../i18n'
import { parked, userTopic } from '../../lib/copies'
import { bytes, count } from '../../lib/format'
import { Fact, Failure } from '../../parts/answer'
import { Panel } from '../../parts/panel'
import { Copy, Go, TimeAge, TopicName } from '../../parts/small'
import { Keys } from '../message/header'
import { Verdicts } from '../message/verdicts'

export function Preview({ message: m, close, acts }: { message: Message; close: () => void; acts?: ReactNode }) {
  const t = useT()
  const life = useLife(m.id)
  const open = <>{acts}<Go to="/messages/$id" params={{ id: m.id }} className="act">{t.messages.openLife} <kbd>Enter</kbd></Go></>
  return (
    <Panel title={t.messages.preview} close={close} acts={open}>
      <dl className="facts">
        <Fact name={t.messages.columns.id} value={<><span className="mono">{m.id}</span><Copy text={m.id} what={t.messages.id} /></>} />
        <Fact name={t.messages.columns.topic} value={<TopicName name={userTopic(m)} />} />
        <Fact name={t.messages.columns.tag} value={m.tag} />
        <Fact name={t.messages.columns.keys} value={m.keys.length ? <span className="row wrap"><Keys keys={m.keys} bare /></span> : undefined} />
        <Fact name={t.messages.columns.time} value={<TimeAge ms={m.appendedMicros / 1000} />} />
        <Fact name={t.messages.columns.size} value={`${bytes(m.bodyBytes)} (${count(m.bodyBytes)} B)`} />
        <Fact name={t.messages.columns.queue} value={parked(m) ? count(m.realQueueId) : `${m.queueId} : ${count(m.queueOffset)}`} />
        <Fact name={t.messages.columns.producer} value={m.producerGroup} />
        <Fact name={t.messages.columns.client} value={m.producerClient && <span className="mono">{m.producerClient} {m.language} {m.version}</span>} />
      </dl>
      <h2 style={{ margin: '18px 0 6px' }}>{t.life.verdicts}</h2>
      {life.data ? <Verdicts life={life.data} /> : life.error ? <Failure error={life.error} retry={() => void life.refetch()} /> : <span className="dim">{t.loading} …</span>}
    </Panel>
  )
}
