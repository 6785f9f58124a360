// Who is behind, what nobody reads, what happened.
import type { Group, Happening, Overview } from '../../api/types'
import { useT } from '../../i18n'
import { count } from '../../lib/format'
import { Age, Go, GroupName, Swatch, Time, TopicName } from '../../parts/small'

export function GroupState({ group }: { group: Group }) {
  const t = useT()
  if (group.online) return <span className="tag ok">✓ {t.groups.online}</span>
  return <span className={group.lagMessages ? 'tag bad' : 'tag'}>{group.lagMessages ? '✕' : '○'} {t.groups.offline}</span>
}

export function Worst({ overview }: { overview: Overview }) {
  const t = useT()
  return (
    <section>
      <div className="sect-head">
        <h2>{t.overview.needs}</h2>
        <Go to="/groups" className="dim">{t.overview.groupsCount(count(overview.groups))}</Go>
      </div>
      {overview.worst.length === 0 && <p className="dim">✓ {t.overview.needsNone}</p>}
      <ul className="list">
        {overview.worst.map((g) => (
          <li key={g.name}>
            <span className="cut" style={{ width: 180, flex: '0 1 180px' }}><GroupName name={g.name} /></span>
            <GroupState group={g} />
            {!g.subscriptionsConsistent && <span className="tag warn">! {t.groups.subscriptions} {t.groups.differ}</span>}
            <span className="grow" />
            <b className="nowrap">{count(g.lagMessages)}</b>
            <span className="dim nowrap num" style={{ minWidth: 96 }}>{g.oldestWaitingAt > 0 && <Age ms={g.oldestWaitingAt} />}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

export function Unread({ overview }: { overview: Overview }) {
  const t = useT()
  return (
    <section>
      <div className="sect-head">
        <h2>{t.overview.unreadTitle}</h2>
        <Go to="/topics" className="dim">{t.overview.topicsCount(count(overview.topics))}</Go>
      </div>
      {overview.unread.length === 0 ? <p className="dim">✓ {t.overview.unreadNone}</p> : <p className="dim" style={{ margin: '0 0 4px', fontSize: 13 }}>{t.overview.unreadText}</p>}
      <ul className="list">
        {overview.unread.map((name) => (
          <li key={name}>
            <Swatch name={name} /> <span className="cut"><TopicName name={name} /></span>
          </li>
        ))}
      </ul>
    </section>
  )
}

const tones: Record<string, string> = { 'flush-stall': 'warn', refusal: 'warn', throttle: 'warn', retention: 'warn', reset: 'warn', 'leader-change': 'warn', 'held-up': 'warn', 'log-damaged': 'bad', 'log-failed': 'bad', 'timer-lost': 'bad', 'deleted-unread': 'bad', 'retention-held': 'warn', 'log-repaired': 'ok' }

/** Every member notes who leads; that it follows, or knows nobody for a moment, is for whoever looks at one node. */
export const worthTelling = (h: Happening) => !(h.kind === 'leader-change' && (h.detail.state === 'follows' || h.detail.state === 'nobody'))

export function HappeningLine({ h }: { h: Happening }) {
  const t = useT()
  return (
    <li>
      <span className="dim mono" style={{ minWidth: 60 }}><Time ms={h.atMicros / 1000} /></span>
      <span className={'tag ' + (tones[h.kind] ?? '')}>{t.kinds[h.kind] ?? h.kind}</span>
      <span className="grow intext" style={{ overflowWrap: 'anywhere' }}>
        {t.happenings[h.text] ?? h.text} {h.count > 1 && <b>({t.overview.times(count(h.count))})</b>} {h.topic && <TopicName name={h.topic} />} {h.group && <GroupName name={h.group} />}{' '}
        {h.client && <span className="dim mono">{h.client}</span>}
      </span>
    </li>
  )
}

export function Happened({ overview }: { overview: Overview }) {
  const t = useT()
  return (
    <section>
      <div className="sect-head">
        <h2>{t.overview.happened}</h2>
      </div>
      {overview.answer === 'failed' && <p className="bad">✕ {t.life.answers.failed}: {overview.reason}</p>}
      {overview.answer !== 'failed' && overview.happened.length === 0 && <p className="dim">{overview.reason || t.overview.happenedNone}</p>}
      <ul className="list">
        {overview.happened.filter(worthTelling).slice(0, 12).map((h, i) => (
          <HappeningLine key={i} h={h} />
        ))}
      </ul>
    </section>
  )
}
