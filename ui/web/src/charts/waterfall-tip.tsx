// What stands under the pointer: exact times in both zones, how long, who, and how it is known.
import { useZone } from '../app/prefs'
import { useT } from '../i18n'
import { duration } from '../lib/format'
import { clockMicros, date, offsetName } from '../lib/time'
import type { Item } from '../lib/waterfall/model'
import { what } from '../pages/message/words'

export function Tip({ x, y, width, at, zero, item }: { x: number; y: number; width: number; at: number; zero: number; item?: Item }) {
  const t = useT()
  const zone = useZone()
  const left = x > width - 460 ? x - 16 - 430 : x + 16
  if (!item) {
    return (
      <div className="tip mono" style={{ left: Math.min(x + 12, width - 230), top: Math.max(28, y - 34), minWidth: 0, padding: '3px 8px' }}>
        +{duration(at - zero)} · {clockMicros(Math.round(at), zone)}
      </div>
    )
  }
  return (
    <div className="tip" style={{ left: Math.max(4, left), top: y + 18 }}>
      <b>{what(item, t)}</b> {item.to > item.from && <>· {duration(item.to - item.from)}</>}
      <dl className="facts" style={{ gap: '2px 10px', fontSize: 12 }}>
        <dt>{t.life.localTime}</dt>
        <dd className="mono">{span(item, 'local')} {offsetName(item.from / 1000)}</dd>
        <dt>{t.life.utcTime}</dt>
        <dd className="mono">{span(item, 'utc')}</dd>
        <dt>{t.life.columns.after}</dt>
        <dd>+{duration(item.from - zero)}</dd>
        {item.due ? (
          <>
            <dt>{t.life.planned}</dt>
            <dd className="mono">{date(item.due / 1000, zone)} {clockMicros(item.due, zone)}</dd>
          </>
        ) : null}
        {item.late !== undefined && (
          <>
            <dt>{t.life.lateness}</dt>
            <dd>{t.life.late(duration(item.late))}</dd>
          </>
        )}
        {item.client && (
          <>
            <dt>{t.life.columns.who}</dt>
            <dd className="mono">{item.client}</dd>
          </>
        )}
        {item.error && (
          <>
            <dt className="bad">✕</dt>
            <dd className="bad">{item.error}</dd>
          </>
        )}
        <dt>{t.life.columns.source}</dt>
        <dd>{t.life.source[item.source]}</dd>
      </dl>
    </div>
  )
}

export function span(i: Item, zone: 'local' | 'utc'): string {
  const day = date(i.from / 1000, zone)
  const from = `${day} ${clockMicros(i.from, zone)}`
  if (i.to === i.from) return from
  const other = date(i.to / 1000, zone)
  return `${from} – ${other === day ? '' : other + ' '}${clockMicros(i.to, zone)}`
}
