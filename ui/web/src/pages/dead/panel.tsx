// A picked dead letter: its facts, and where its message is now.
import type { ReactNode } from 'react'
import { useLife } from '../../api/queries'
import type { DeadLetter } from '../../api/types'
import { useT } from '../../i18n'
import { bytes, count } from '../../lib/format'
import { Fact, Failure } from '../../parts/answer'
import { Panel } from '../../parts/panel'
import { Copy, Go, TimeAge, TopicName } from '../../parts/small'
import { Verdicts } from '../message/verdicts'
import { storyOf } from './group'

export function LetterPanel({ letter: d, close, acts }: { letter: DeadLetter; close: () => void; acts: ReactNode }) {
  const t = useT()
  const id = storyOf(d)
  const life = useLife(id)
  const open = <>{acts}<Go to="/messages/$id" params={{ id }} className="act">{t.messages.openLife} <kbd>Enter</kbd></Go></>
  return (
    <Panel title={t.dead.letter} close={close} acts={open}>
      <dl className="facts">
        <Fact name={t.messages.columns.id} value={<><span className="mono">{id}</span><Copy text={id} what={t.messages.id} /></>} />
        <Fact name={t.dead.topic} value={<TopicName name={d.topic} />} />
        <Fact name={t.messages.columns.tag} value={d.tags} />
        <Fact name={t.messages.columns.keys} value={d.keys} mono />
        <Fact name={t.dead.died} value={<TimeAge ms={d.storedAt} />} />
        <Fact name={t.dead.attempts} value={count(d.attempts)} />
        <Fact name={t.dead.born} value={<TimeAge ms={d.bornAt} />} />
        <Fact name={t.messages.columns.size} value={`${bytes(d.bytes)} (${count(d.bytes)} B)`} />
        <Fact name={t.dead.place} value={`${d.broker} : ${count(d.offset)}`} />
        <Fact name={t.dead.resentAt} value={d.resentAt ? <TimeAge ms={d.resentAt} /> : t.dead.notResent} />
      </dl>
      <h2 style={{ margin: '18px 0 6px' }}>{t.life.verdicts}</h2>
      {life.data ? <Verdicts life={life.data} /> : life.error ? <Failure error={life.error} retry={() => void life.refetch()} /> : <span className="dim">{t.loading} …</span>}
    </Panel>
  )
}
