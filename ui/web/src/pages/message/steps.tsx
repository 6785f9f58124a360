// The same facts as the picture, as a table: for reading line by line, for a screen reader, for export.
import type { MessageLife } from '../../api/types'
import { useZone } from '../../app/prefs'
import { useUrl } from '../../app/url'
import { useT } from '../../i18n'
import { duration } from '../../lib/format'
import { clockMicros, date } from '../../lib/time'
import { steps, type Item, type Model } from '../../lib/waterfall/model'
import { bothZones } from '../../parts/small'
import { ExportMenu } from '../../parts/table-foot'
import { copiesOf } from '../../lib/waterfall/model'
import { what } from './words'

export function StepsTab({ life, model }: { life: MessageLife; model: Model }) {
  const t = useT()
  const zone = useZone()
  const [params, set] = useUrl()
  const c = t.life.columns
  const all = steps(model)
  const laneName = (i: Item) => (i.lane === 'producer' || i.lane === 'broker' || i.lane === 'leaders' ? t.life.lanes[i.lane] : i.lane)
  const table = () => ({
    header: ['at', 'atMicros', 'toMicros', 'plannedMicros', 'lateMicros', 'lane', 'what', 'client', 'durationMicros', 'queueOffset', 'attempt', 'error', 'source'],
    rows: all.map((i) => [new Date(i.from / 1000).toISOString(), i.from, i.to, i.due ?? '', i.late ?? '', laneName(i), what(i, t), i.client ?? '', i.to - i.from, i.where ?? '', i.attempt ?? '', i.error ?? '', i.source]),
  })
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label={t.life.tabs.steps}>
      <div className="legend">
        <span className="grow">{t.rows(String(all.length))}</span>
        <ExportMenu name={`steps-${copiesOf(life)[0].id}`} table={table} />
      </div>
      <table className="plain-table" data-test="steps">
        <thead>
          <tr>
            <th scope="col">{c.at}</th>
            <th scope="col" className="num">{c.after}</th>
            <th scope="col">{c.lane}</th>
            <th scope="col">{c.what}</th>
            <th scope="col" className="num">{c.took}</th>
            <th scope="col">{c.who}</th>
            <th scope="col" className="num">{c.where}</th>
            <th scope="col" className="num">{c.attempt}</th>
            <th scope="col">{c.source}</th>
          </tr>
        </thead>
        <tbody>
          {all.map((i, n) => (
            <tr key={i.id} className="click" aria-selected={i.id === params.event || undefined} onClick={() => set({ event: i.id })}>
              <td className="mono nowrap" title={bothZones(i.from / 1000)}>
                {n === 0 || date(i.from / 1000, zone) !== date(all[n - 1].from / 1000, zone) ? <span className="dim">{date(i.from / 1000, zone)} </span> : null}
                {clockMicros(i.from, zone)}
              </td>
              <td className="num nowrap dim">+{duration(i.from - model.from)}</td>
              <td className="nowrap">{laneName(i)}</td>
              <td>
                <button type="button" className="plain" onClick={() => set({ event: i.id })}>{what(i, t)}</button>
                {i.due ? <span className="dim"> · {t.life.plannedAt(clockMicros(i.due, zone))}{i.late !== undefined && `, ${t.life.late(duration(i.late))}`}</span> : null}
                {i.error && <span className="bad"> ✕ {i.error}</span>}
              </td>
              <td className="num nowrap">{i.to > i.from ? duration(i.to - i.from) + (i.open ? ' …' : '') : ''}</td>
              <td className="mono nowrap">{i.client}</td>
              <td className="num nowrap">{i.where}</td>
              <td className="num">{i.attempt}</td>
              <td className="dim nowrap">{t.life.source[i.source]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
