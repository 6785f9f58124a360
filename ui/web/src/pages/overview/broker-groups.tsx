// Broker groups with several members: who leads, and how far each member is behind.
import type { BrokerGroup, BrokerMember, ChangeProgress, Node } from '../../api/types'
import { useT } from '../../i18n'
import { count } from '../../lib/format'

export function BrokerGroups({ node, changes }: { node: Node; changes: ChangeProgress[] }) {
  const t = useT()
  const groups = node.brokerGroups.filter((g) => g.members.length > 1)
  if (groups.length === 0) return null
  return (
    <section data-test="broker-groups">
      <div className="sect-head" style={{ padding: '14px 16px 0' }}>
        <h2>{t.overview.brokerGroups}</h2>
      </div>
      <div className="scroll-x" tabIndex={0} role="group" aria-label={t.overview.brokerGroups}>
        <table className="plain-table tight">
          <thead>
            <tr>
              <th scope="col">{t.overview.broker}</th><th scope="col">{t.overview.leader}</th><th scope="col" className="num">{t.overview.term}</th><th scope="col" className="num">{t.overview.entry}</th>
              <th scope="col">{t.overview.members}</th>
            </tr>
          </thead>
          <tbody>
            {groups.map((g) => (
              <tr key={g.name}>
                <td>{g.name}</td>
                <td>{g.stopped ? <span className="bad" title={g.stopped}>✕ {t.overview.memberStopped}</span> : <Leader group={g} />}</td>
                <td className="num">{count(g.term)}</td>
                <td className="num">{count(g.commitIndex)}</td>
                <td><span className="row">{g.members.map((m) => <Member key={m.id} member={m} own={m.id === g.member} />)}</span></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {changes.length > 0 && <Changes changes={changes} />}
    </section>
  )
}

/** What changes in the cluster, and nodes that are drained. */
function Changes({ changes }: { changes: ChangeProgress[] }) {
  const t = useT()
  const tones: Record<string, string> = { failed: 'bad', running: 'warn' }
  return (
    <ul className="list" style={{ padding: '4px 16px 10px' }} data-test="cluster-changes">
      {changes.map((c) => (
        <li key={c.kind + c.subject}>
          <span className={'tag nowrap ' + (tones[c.state] ?? '')}>{t.overview.changeKinds[c.kind] ?? c.kind}: {t.overview.changeStates[c.state] ?? c.state}{c.state === 'running' && ` ${c.percent} %`}</span>
          <span className="grow" style={{ overflowWrap: 'anywhere' }}>{c.text}</span>
        </li>
      ))}
    </ul>
  )
}

function Leader({ group }: { group: BrokerGroup }) {
  const t = useT()
  const leader = group.members.find((m) => m.id === group.leader)
  if (!leader) return <span className="bad">✕ {t.overview.nobodyLeads}</span>
  return <span className="mono nowrap" title={leader.addr}>{t.overview.member(leader.id)} · {leader.addr}</span>
}

const behind = 1000 // entries: a member that is slow, not one whose answer is on its way

function Member({ member: m, own }: { member: BrokerMember; own: boolean }) {
  const t = useT()
  const silent = !m.active && m.state !== 'unknown'
  const tone = silent ? 'bad' : m.state === 'leader' ? 'ok' : m.lagEntries > behind || m.state === 'snapshot' ? 'warn' : ''
  const state = t.overview.memberStates[m.state] ?? m.state
  return (
    <span className={'tag nowrap ' + tone} title={`${m.addr} · ${t.overview.memberEntry(count(m.matchIndex))}`}>
      {silent ? '✕ ' : m.state === 'leader' ? '✓ ' : ''}{t.overview.member(m.id)}{own && ` (${t.overview.here})`}: {silent ? t.overview.silent : state}
      {m.lagEntries > 0 && m.state !== 'leader' && ` · ${t.overview.memberLag(count(m.lagEntries))}`}
    </span>
  )
}
