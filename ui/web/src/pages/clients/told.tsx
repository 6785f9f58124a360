// What a client told of itself and was told: a gRPC client's settings, what a remoting client says of its groups.
import type { ReactNode } from 'react'
import { useClient } from '../../api/queries'
import type { Backoff, Client, ClientSettings, Consuming, Subscription } from '../../api/types'
import { useT } from '../../i18n'
import { bytes, count, duration } from '../../lib/format'
import { print } from '../../lib/subscriptions'
import { Fact, Loaded } from '../../parts/answer'
import { GroupName, TimeAge, TopicName } from '../../parts/small'

const millis = (ms: number) => duration(ms * 1000)

export function Told({ client: c }: { client: Client }) {
  const t = useT()
  const query = useClient(c)
  if (!c.clientId) return null
  return (
    <Loaded query={query} rows={4}>
      {({ settings, consumes }) => (
        <>
          {settings && <Settings settings={settings} />}
          {!settings && c.protocol === 'grpc' && <p className="dim" style={{ margin: '18px 0 0' }}>{t.clients.untold}</p>}
          {!settings && consumes.map((g) => <Says key={g.group} of={g} own={c.protocol === 'remoting'} />)}
        </>
      )}
    </Loaded>
  )
}

function Part({ title, test, children }: { title: string; test?: string; children: ReactNode }) {
  return (
    <section data-test={test} style={{ marginTop: 18 }}>
      <h2 style={{ marginBottom: 6, overflowWrap: 'anywhere' }}>{title}</h2>
      {children}
    </section>
  )
}

function Settings({ settings: s }: { settings: ClientSettings }) {
  const t = useT()
  const w = t.clients
  const { publishing: p, subscription: sub } = s
  return (
    <Part title={w.settings} test="settings">
      <dl className="facts even">
        <Fact name={w.givenAt} value={<TimeAge ms={s.givenAt} />} />
        <Fact name={w.type} value={w.kinds[s.clientType] ?? s.clientType} />
        <Fact name={w.sdk} value={`${s.userAgent.language} ${s.userAgent.version}`.trim()} />
        <Fact name={w.platform} value={s.userAgent.platform} />
        <Fact name={w.host} value={s.userAgent.hostname} mono />
        <Fact name={w.accessKey} value={s.accessKey || undefined} mono />
        <Fact name={w.timeout} value={s.requestTimeoutMillis > 0 ? millis(s.requestTimeoutMillis) : undefined} />
        {s.backoff && <Fact name={w.attempts} value={<span data-test="attempts">{count(s.backoff.maxAttempts)}</span>} />}
        {s.backoff && <Fact name={w.backoff} value={<Waits of={s.backoff} />} />}
        {p && <Fact name={w.publishes} value={<Topics names={p.topics} omitted={p.topicsOmitted} />} />}
        {p && <Fact name={w.maxBody} value={bytes(p.maxBodyBytes)} />}
        {p && <Fact name={w.messageType} value={p.validateMessageType ? w.checked : w.unchecked} />}
        {sub && <Fact name={t.groups.name} value={<GroupName name={sub.group} />} />}
        {sub && <Fact name={w.order} value={sub.fifo ? w.fifo : w.anyOrder} />}
        {sub && <Fact name={w.batch} value={w.upTo(count(sub.receiveBatchSize))} />}
        {sub && <Fact name={w.polling} value={w.upToTime(millis(sub.longPollingMillis))} />}
      </dl>
      {sub && <Subscriptions list={sub.subscriptions} omitted={sub.subscriptionsOmitted} />}
    </Part>
  )
}

function Waits({ of: b }: { of: Backoff }) {
  const t = useT()
  if (b.strategy === 'exponential') return t.clients.growing(millis(b.initialMillis), String(b.multiplier), millis(b.maxMillis))
  return (
    <>
      {b.delaysMillis.map((ms, i) => <span key={i}>{i > 0 && ' · '}<span className="nowrap">{millis(ms)}</span></span>)}
      {b.delaysOmitted > 0 && <span className="dim"> {t.clients.more(count(b.delaysOmitted))}</span>}
    </>
  )
}

function Topics({ names, omitted }: { names: string[]; omitted: number }) {
  const t = useT()
  return (
    <>
      {names.map((name, i) => <span key={i}>{i > 0 && ', '}<TopicName name={name} /></span>)}
      {omitted > 0 && <span className="dim"> {t.clients.more(count(omitted))}</span>}
      {names.length === 0 && <span className="dim">{t.none}</span>}
    </>
  )
}

/** What a heartbeat says of one group; own: in the client's words, where nothing is made up for a protocol that does not say it. */
function Says({ of: g, own }: { of: Consuming; own: boolean }) {
  const t = useT()
  const w = t.clients
  const models: Record<string, string> = { CLUSTERING: t.groups.clustering, BROADCASTING: t.groups.broadcasting }
  return (
    <Part title={w.said(g.group)} test="says">
      {own && (
        <dl className="facts even">
          <Fact name={t.groups.type} value={t.groups.types[g.consumeType] ?? g.consumeType} />
          <Fact name={t.groups.model} value={models[g.model] ?? g.model} />
          <Fact name={w.begins} value={w.from[g.fromWhere] ?? g.fromWhere} />
        </dl>
      )}
      <Subscriptions list={g.subscriptions} omitted={0} />
    </Part>
  )
}

function Subscriptions({ list, omitted }: { list: Subscription[]; omitted: number }) {
  const t = useT()
  if (list.length === 0) return null
  return (
    <table className="plain-table subs">
      <thead><tr><th scope="col">{t.groups.topic}</th><th scope="col">{t.groups.expression}</th></tr></thead>
      <tbody>
        {list.map((s, i) => <tr key={i}><td><TopicName name={s.topic} /></td><td className="mono">{print(s)}</td></tr>)}
        {omitted > 0 && <tr><td className="dim" colSpan={2}>{t.clients.more(count(omitted))}</td></tr>}
      </tbody>
    </table>
  )
}
