// What each member subscribes to. A cell that differs from the most is marked.
import type { Group } from '../../api/types'
import { useT } from '../../i18n'
import { matrix, print } from '../../lib/subscriptions'
import { Answer } from '../../parts/answer'
import { TopicName } from '../../parts/small'

export function Subscriptions({ group }: { group: Group }) {
  const t = useT()
  const m = matrix(group)
  if (group.subscriptions.length === 0 && m.rows.length === 0) return <Answer tone="none" title={t.groups.noSubscriptions} />
  if (m.rows.length === 0) return <Known group={group} />
  return (
    <>
      {!group.subscriptionsConsistent && <p className="strip warn" role="alert" style={{ margin: '12px 0 0' }}>! {t.groups.differing}</p>}
      <div className="scroll-x" tabIndex={0} role="group" aria-label={t.groups.subscriptions}>
        <table className="plain-table">
          <thead><tr><th scope="col">{t.groups.topic}</th>{m.members.map((id) => <th key={id} scope="col" className="mono">{id}</th>)}</tr></thead>
          <tbody>
            {m.rows.map((r) => (
              <tr key={r.topic}>
                <th scope="row" style={{ height: 30 }}><TopicName name={r.topic} /></th>
                {r.cells.map((c, i) => <td key={i} className="mono">{c.differs ? <span className="tag warn">! {c.text || t.none}</span> : c.text || <span className="dim">{t.none}</span>}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}

function Known({ group }: { group: Group }) {
  const t = useT()
  return (
    <table className="plain-table">
      <thead><tr><th scope="col">{t.groups.topic}</th><th scope="col">{t.groups.expression}</th></tr></thead>
      <tbody>{group.subscriptions.map((s, i) => <tr key={i}><td><TopicName name={s.topic} /></td><td className="mono">{print(s)}</td></tr>)}</tbody>
    </table>
  )
}
