// The stored copies as one story: which was made of which, where each stands, planned and actual times.
import type { Copy, MessageLife } from '../../api/types'
import { useT } from '../../i18n'
import { count, duration } from '../../lib/format'
import { GroupName, Time, TopicName } from '../../parts/small'

/** How deep a copy stands below the first one. */
function depth(c: Copy, all: Copy[]): number {
  let deep = 0
  for (let from = c.from; from && deep < all.length; deep++) from = all.find((x) => x.position === from)?.from ?? 0
  return deep
}

export function LineageTab({ life }: { life: MessageLife }) {
  const t = useT()
  const c = t.life.lineage
  const all = life.lineage
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label={t.life.tabs.lineage}>
      <p className="dim pad">{c.hint}</p>
      <table className="plain-table" data-test="lineage">
        <thead>
          <tr>
            <th scope="col">{c.what}</th>
            <th scope="col">{c.stored}</th>
            <th scope="col">{t.life.planned}</th>
            <th scope="col" className="num">{t.life.lateness}</th>
            <th scope="col">{c.where}</th>
            <th scope="col" className="num">{t.life.columns.where}</th>
            <th scope="col">{c.state}</th>
          </tr>
        </thead>
        <tbody>
          {all.map((k) => (
            <tr key={`${k.broker} ${k.position}`}>
              <td style={{ paddingLeft: 16 + 18 * depth(k, all) }}>
                {k.from > 0 && <span className="dim" aria-hidden="true">↳ </span>}
                {c.roles[k.role]?.(k.attempt) ?? k.role} {k.group && <GroupName name={k.group} />} {k.by && <span className="dim">({k.by})</span>}
              </td>
              <td className="nowrap"><Time ms={k.atMicros / 1000} precision="ms" /></td>
              <td className="nowrap">{k.dueMicros > 0 && <Time ms={k.dueMicros / 1000} precision="ms" />}</td>
              <td className="num nowrap">{k.dueMicros > 0 && !k.to && duration(k.lateMicros)}</td>
              <td><TopicName name={k.topic} />{k.to && <> → <TopicName name={k.to} /></>}</td>
              <td className="num nowrap">{k.queueId} : {count(k.queueOffset)}</td>
              <td className={k.state === 'overdue' ? 'warn' : ''}>{c.states[k.state] ?? k.state}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
