// The traditional trace: three producer columns, four consumer columns, and the 20 fields in the vendor's order.
import type { MessageLife, TraceRecord } from '../../api/types'
import { useT, type Dictionary } from '../../i18n'
import { Time } from '../../parts/small'
import { ExportMenu } from '../../parts/table-foot'
import { copiesOf } from '../../lib/waterfall/model'
import { fields, consumers } from './traditional'

export function RecordsTab({ life }: { life: MessageLife }) {
  const t = useT()
  const records = life.records
  if (records.length === 0) return <p className="dim pad">{t.life.noRecords}</p>
  const table = () => ({ header: [...fields], rows: records.map((r) => fields.map((f) => (typeof r[f] === 'boolean' ? String(r[f]) : r[f])) as (string | number)[]) })
  return (
    <>
      <Traditional life={life} />
      <div className="legend">
        <span className="grow">{t.life.recordsHint}</span>
        <ExportMenu name={`records-${copiesOf(life)[0]?.id}`} table={table} />
      </div>
      <div className="scroll-x" tabIndex={0} role="group" aria-label={t.life.tabs.records}>
        <table className="plain-table" data-test="records">
          <thead>
            <tr>{fields.map((f) => <th key={f} scope="col" className="mono">{f}</th>)}</tr>
          </thead>
          <tbody>
            {records.map((r, i) => (
              <tr key={i}>{fields.map((f) => <td key={f} className="mono nowrap">{f === 'timestamp' ? <span title={String(r[f])}><Time ms={r[f]} precision="ms" /></span> : String(r[f])}</td>)}</tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

function status(r: TraceRecord, t: Dictionary): string {
  if (r.trace_type === 'SubBefore') return t.life.traditional.notSaid
  return t.life.traditional.codes[String(r.consume_status)] ?? String(r.consume_status)
}

function Traditional({ life }: { life: MessageLife }) {
  const t = useT()
  const c = t.life.traditional
  const pub = life.records.find((r) => r.trace_type === 'Pub')
  return (
    <div className="grid2" style={{ borderTop: 0 }}>
      <section>
        <div className="sect-head"><h2>{t.life.producerColumns}</h2></div>
        {pub && (
          <table className="plain-table">
            <thead><tr><th scope="col">{c.status}</th><th scope="col" className="num">{c.created}</th><th scope="col">{c.producer}</th></tr></thead>
            <tbody><tr><td>{pub.success ? c.sent : c.failed}</td><td className="num">{pub.cost_time} ms</td><td className="mono">{pub.client_host}</td></tr></tbody>
          </table>
        )}
      </section>
      <section>
        {consumers(life.records).map(([group, rows]) => (
          <div key={group} style={{ marginBottom: 10 }}>
            <div className="sect-head"><h2>{t.life.consumerColumns(group)}</h2></div>
            <table className="plain-table">
              <thead><tr><th scope="col">{c.consumeStatus}</th><th scope="col">{c.retrieved}</th><th scope="col" className="num">{c.took}</th><th scope="col">{c.consumer}</th></tr></thead>
              <tbody>
                {rows.map((r, i) => (
                  <tr key={i}><td>{status(r, t)}</td><td className="nowrap"><Time ms={r.timestamp} /></td><td className="num nowrap">{r.cost_time} ms</td><td className="mono">{r.client_host}</td></tr>
                ))}
              </tbody>
            </table>
          </div>
        ))}
      </section>
    </div>
  )
}
