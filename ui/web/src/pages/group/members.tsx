// Who is in the group now; when nobody is, when the last one was.
import type { Group } from '../../api/types'
import { useNow } from '../../app/live'
import { useT } from '../../i18n'
import { age } from '../../lib/format'
import { Answer } from '../../parts/answer'
import { Age, Go } from '../../parts/small'

export function Members({ group }: { group: Group }) {
  const t = useT()
  const c = t.groups
  const at = useNow(5000)
  if (group.members.length === 0) {
    return (
      <Answer tone="bad" title={c.noMembers}>
        <p>{group.lastSeenAt ? c.lastSeen(age(Math.max(0, at - group.lastSeenAt))) : c.neverSeen}</p>
      </Answer>
    )
  }
  return (
    <div className="scroll-x" tabIndex={0} role="group" aria-label={c.tabs.members}>
      <table className="plain-table">
        <thead><tr><th scope="col">{c.client}</th><th scope="col">{c.address}</th><th scope="col">{c.language}</th><th scope="col">{c.version}</th><th scope="col" className="num">{c.connected}</th><th scope="col" className="num">{c.heartbeat}</th><th scope="col">{c.subscriptions}</th></tr></thead>
        <tbody>
          {group.members.map((m) => (
            <tr key={m.clientId + m.addr}>
              <td className="mono"><Go to="/clients" search={{ q: m.clientId }}>{m.clientId}</Go></td>
              <td className="mono">{m.addr}</td><td>{m.language}</td><td>{m.version}</td>
              <td className="num"><Age ms={m.connectedAt} /></td><td className="num"><Age ms={m.lastHeartbeatAt} /></td>
              <td className="mono">{(m.subscriptions ?? []).map((s) => `${s.topic}: ${s.expression}`).join('   ')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
