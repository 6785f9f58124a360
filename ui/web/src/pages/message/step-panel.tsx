// One step: exact times, who, how it is known, and the row as it is recorded.
import { useZone } from '../../app/prefs'
import { useT } from '../../i18n'
import { duration } from '../../lib/format'
import type { Item } from '../../lib/waterfall/model'
import { span } from '../../charts/waterfall-tip'
import { Fact } from '../../parts/answer'
import { Panel } from '../../parts/panel'
import { Code, GroupName } from '../../parts/small'
import { what } from './words'

export function StepPanel({ item, zero, close }: { item: Item; zero: number; close: () => void }) {
  const t = useT()
  const zone = useZone()
  const c = t.life.columns
  const lane = item.lane === 'producer' || item.lane === 'broker' || item.lane === 'leaders' ? t.life.lanes[item.lane] : <GroupName name={item.lane} />
  return (
    <Panel title={what(item, t)} close={close}>
      <dl className="facts">
        <Fact name={c.lane} value={lane} />
        <Fact name={t.life.localTime} value={span(item, 'local')} mono />
        <Fact name={t.life.utcTime} value={span(item, 'utc')} mono />
        <Fact name={t.life.epochTime} value={item.to > item.from ? `${item.from} – ${item.to}` : String(item.from)} mono />
        <Fact name={c.after} value={'+' + duration(item.from - zero)} />
        <Fact name={c.took} value={item.to > item.from ? duration(item.to - item.from) + (item.open ? ' …' : '') : ''} />
        <Fact name={t.life.planned} value={item.due ? span({ ...item, from: item.due, to: item.due }, zone) : undefined} mono />
        <Fact name={t.life.lateness} value={item.late === undefined ? undefined : t.life.late(duration(item.late))} />
        <Fact name={c.who} value={item.client} mono />
        <Fact name={c.where} value={item.where} />
        <Fact name={c.attempt} value={item.attempt} />
        <Fact name="✕" value={item.error && <span className="bad">{item.error}</span>} />
        <Fact name={c.source} value={t.life.source[item.source]} />
      </dl>
      <h2 style={{ margin: '18px 0 6px' }}>{t.life.rawRow}</h2>
      <Code text={JSON.stringify(item.raw, null, 2)} what={t.life.rawRow} />
    </Panel>
  )
}
