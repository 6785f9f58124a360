// /: one sentence, what flows, who is behind, what the trail knows, what happened.
import { useOverview } from '../../api/queries'
import type { Group, Overview } from '../../api/types'
import { now, useLive } from '../../app/live'
import { useT, type Dictionary } from '../../i18n'
import { bytes, count, duration } from '../../lib/format'
import { Loaded } from '../../parts/answer'
import { Age, Freshness } from '../../parts/small'
import { BrokerGroups } from './broker-groups'
import { Charts } from './charts'
import { Empty } from './empty'
import { Happened, Unread, Worst } from './lists'

/** Some messages are always on their way; a minute of waiting is being behind, and so are ten seconds of very many. */
const isBehind = (g: Group, now: number) => !g.online || now - g.oldestWaitingAt > (g.lagMessages >= 1000 ? 10e3 : 60e3)

export function sentence(o: Overview, t: Dictionary, stopped: string): { text: string; tone: string }[] {
  const say: { text: string; tone: string }[] = []
  const why = stopped || o.node.stopped
  if (why) say.push({ text: t.overview.stopped(why), tone: 'bad' })
  const behind = o.worst.filter((g) => isBehind(g, o.node.now)).length
  const offline = o.worst.filter((g) => !g.online).length
  const mixed = o.worst.filter((g) => !g.subscriptionsConsistent).length
  if (behind) say.push({ text: t.overview.behind(behind), tone: 'warn' })
  else say.push({ text: o.groups ? t.overview.calm : t.overview.noGroups, tone: '' })
  if (offline) say.push({ text: t.overview.offline(offline), tone: 'bad' })
  if (mixed) say.push({ text: t.overview.inconsistent(mixed), tone: 'warn' })
  const unread = o.unreadTopics ?? o.unread.length // the list itself is cut
  if (unread) say.push({ text: t.overview.unread(unread), tone: 'warn' })
  say.push(trailSays(o, t))
  return say
}

const trailLate = 10e6

function trailSays(o: Overview, t: Dictionary): { text: string; tone: string } {
  if (!o.trail.storeUp) return { text: t.trail.down, tone: 'bad' }
  if (o.trail.rowsNotRecorded) return { text: t.trail.lost(count(o.trail.rowsNotRecorded)), tone: 'warn' }
  if (o.trail.lagMicros > trailLate) return { text: t.trail.behind(duration(o.trail.lagMicros)), tone: 'warn' }
  return { text: t.trail.complete, tone: '' }
}

export function OverviewPage() {
  const t = useT()
  const query = useOverview()
  return (
    <>
      <div className="head">
        <h1>{t.pages.overview}</h1>
        {query.data && <State overview={query.data} />}
        <span className="acts">
          <Freshness at={query.dataUpdatedAt} />
        </span>
      </div>
      <Loaded query={query} rows={12}>
        {(o) => (o.node.messagesInTotal === 0 && o.topics === 0 ? <Empty node={o.node} /> : <Body overview={o} />)}
      </Loaded>
    </>
  )
}

function State({ overview }: { overview: Overview }) {
  const t = useT()
  const { stopped } = useLive()
  if (overview.node.messagesInTotal === 0 && overview.topics === 0) return null
  return (
    <span className="say" data-test="state">
      {sentence(overview, t, stopped).map((s, i) => (
        <span key={s.text}>
          {i > 0 && ' · '}
          <span className={s.tone}>{s.text}</span>
        </span>
      ))}
    </span>
  )
}

function Body({ overview }: { overview: Overview }) {
  return (
    <>
      <Charts overview={overview} />
      <BrokerGroups node={overview.node} changes={overview.changes ?? []} />
      <div className="grid2" style={{ borderTop: 0 }}>
        <Worst overview={overview} />
        <Unread overview={overview} />
        <Happened overview={overview} />
        <TrailAndNode overview={overview} />
      </div>
    </>
  )
}

function TrailAndNode({ overview: o }: { overview: Overview }) {
  const t = useT()
  const tick = useLive().trail ?? o.trail
  const n = o.node
  return (
    <section>
      <div className="sect-head">
        <h2>{t.overview.trail}</h2>
      </div>
      <p style={{ margin: '0 0 4px' }} data-test="trail">
        {tick.storeUp ? t.overview.trailUp(duration(Math.max(0, now() * 1000 - tick.shippedToMicros))) : <span className="bad">✕ {t.overview.trailDown}</span>}
      </p>
      <p className="dim" style={{ margin: '0 0 12px', fontSize: 13 }}>
        {tick.storeText} · {tick.lagEntries ? t.overview.trailLag(count(tick.lagEntries)) : t.overview.trailNoLag} · {t.overview.trailRows(count(tick.rowsShipped))} ·{' '}
        {tick.rowsNotRecorded ? <span className="warn">? {t.overview.trailLost(count(tick.rowsNotRecorded))}</span> : t.overview.trailNone}
        {tick.lastError && (
          <span className={tick.storeUp ? '' : 'bad'} style={{ overflowWrap: 'anywhere' }}> · {t.overview.lastError} (<Age ms={tick.lastErrorMicros / 1000} />): {tick.lastError}</span>
        )}
      </p>
      <div className="sect-head">
        <h2>{t.overview.node}</h2>
      </div>
      <dl className="facts">
        <dt>{t.overview.broker}</dt>
        <dd>{n.broker} · {n.nodeId} · {n.storeHost} · {n.version}</dd>
        <dt>{t.overview.up}</dt>
        <dd>{duration(Math.max(0, n.now - n.startedAt) * 1000)}</dd>
        <dt>{t.overview.totals}</dt>
        <dd>{t.overview.totalsText(count(n.messagesInTotal), count(n.messagesOutTotal))}</dd>
        <dt>{t.overview.disk}</dt>
        <dd>{t.overview.diskFree(bytes(n.diskFreeBytes), bytes(n.diskTotalBytes))}</dd>
        <dt>{t.overview.sync}</dt>
        <dd>{n.syncMode}{n.fsyncP99Micros > 0 && <> · {t.overview.syncTimes(duration(n.fsyncP50Micros), duration(n.fsyncP99Micros))}</>}</dd>
      </dl>
    </section>
  )
}
