// /clients: every connection, what it produces for and consumes for.
import { useMemo, useState } from 'react'
import { useClients, useOverview } from '../../api/queries'
import type { Client } from '../../api/types'
import { useUrl } from '../../app/url'
import { useT } from '../../i18n'
import { count } from '../../lib/format'
import { Answer, Fact, Loaded } from '../../parts/answer'
import { Act } from '../../parts/dialog'
import { Choice, TextFilter } from '../../parts/filters'
import { Panel } from '../../parts/panel'
import { Age, Copy, Go, GroupName, TimeAge } from '../../parts/small'
import { Table, type Column } from '../../parts/table'
import { RunningDialog } from './running'
import { Told } from './told'

const protocolOf = (c: Client) => (c.protocol === 'grpc' ? 'gRPC' : c.protocol)
const keyOf = (c: Client) => `${c.clientId} ${c.addr}`

function useColumns(): Column<Client>[] {
  const t = useT()
  return useMemo(() => {
    const c = t.clients
    return [
      { id: 'id', label: c.id, width: 220, grow: 2, value: (r) => r.clientId, render: (r) => (r.clientId ? <span className="mono" title={r.clientId}>{r.clientId}</span> : <span className="none">? {c.noId}</span>) },
      { id: 'address', label: c.address, width: 140, grow: 1, value: (r) => r.addr, render: (r) => <span className="mono">{r.addr}</span> },
      { id: 'language', label: c.language, width: 84, value: (r) => r.language },
      { id: 'version', label: c.version, width: 84, value: (r) => r.version },
      { id: 'protocol', label: c.protocol, width: 92, value: (r) => protocolOf(r) },
      { id: 'produces', label: c.produces, width: 130, grow: 1, value: (r) => r.producerOf.join(' '), render: (r) => <span title={r.producerOf.join('\n')}>{r.producerOf.join(', ')}</span> },
      { id: 'consumes', label: c.consumes, width: 130, grow: 1, value: (r) => r.consumerOf.join(' '), render: (r) => r.consumerOf.map((g, i) => <span key={g}>{i > 0 && ', '}<GroupName name={g} /></span>) },
      { id: 'connected', label: c.connected, width: 120, right: true, value: (r) => r.connectedAt, render: (r) => <Age ms={r.connectedAt} /> },
      { id: 'heartbeat', label: c.heartbeat, width: 124, right: true, value: (r) => r.lastHeartbeatAt, render: (r) => <Age ms={r.lastHeartbeatAt} /> },
    ]
  }, [t])
}

export function ClientsPage() {
  const t = useT()
  const query = useClients()
  const address = useOverview().data?.node.nameServer ?? ''
  const columns = useColumns()
  const [params, set] = useUrl()
  const all = useMemo(() => query.data?.clients ?? [], [query.data])
  const rows = useMemo(() => all.filter((c) => (params.role === 'producers' ? c.producerOf.length : params.role === 'consumers' ? c.consumerOf.length : true)), [all, params.role])
  const picked = all.find((c) => keyOf(c) === params.sel)
  const roles = [{ id: 'all', label: t.clients.all }, { id: 'producers', label: t.clients.producers }, { id: 'consumers', label: t.clients.consumers }]
  return (
    <>
      <div className="head">
        <h1>{t.clients.title}</h1>
        {query.data && <span className="say">{t.clients.sentence(count(all.length), count(all.filter((c) => c.producerOf.length).length), count(all.filter((c) => c.consumerOf.length).length))}</span>}
      </div>
      <div className="strip">
        <TextFilter what={t.clients.title} />
        <Choice name="role" label={t.clients.title} standard="all" options={roles} />
      </div>
      <Loaded query={query}>
        {() => (
          <div className="split">
            <div className="grow fill">
              <Table
                rows={rows} columns={columns} rowKey={keyOf} label={t.clients.title} name="clients" filter={params.q} sort="connected.desc" pick={(c) => set({ sel: keyOf(c) })} open={(c) => set({ sel: keyOf(c) })} picked={picked && keyOf(picked)}
                updatedAt={query.dataUpdatedAt} empty={<Answer title={all.length ? t.clients.noneMatch(params.q ?? '') : t.clients.empty}>{all.length === 0 && <p>{t.clients.emptyText(address)}</p>}</Answer>}
              />
            </div>
            {picked && <One client={picked} close={() => set({ sel: undefined })} />}
          </div>
        )}
      </Loaded>
    </>
  )
}

function One({ client: c, close }: { client: Client; close: () => void }) {
  const t = useT()
  const w = t.clients
  const [asking, setAsking] = useState(false)
  return (
    <Panel title={c.clientId || c.addr} close={close}>
      <dl className="facts even">
        <Fact name={w.id} value={c.clientId && <span className="mono">{c.clientId} <Copy text={c.clientId} what={w.id} /></span>} />
        <Fact name={w.address} value={c.addr} mono />
        <Fact name={w.protocol} value={protocolOf(c)} />
        <Fact name={w.language} value={c.language} />
        <Fact name={w.version} value={c.version} />
        <Fact name={w.connected} value={<TimeAge ms={c.connectedAt} />} />
        <Fact name={w.heartbeat} value={<TimeAge ms={c.lastHeartbeatAt} />} />
        <Fact name={w.produces} value={c.producerOf.join(', ')} />
        <Fact name={w.consumes} value={c.consumerOf.length ? c.consumerOf.map((g) => <span key={g} style={{ marginRight: 8 }}><GroupName name={g} /></span>) : undefined} />
      </dl>
      <div className="col" style={{ gap: 6, marginTop: 16, alignItems: 'flex-start' }}>
        {c.clientId && c.consumerOf.length > 0 && <Act test="running" onClick={() => setAsking(true)}>{t.running.open}</Act>}
        {c.clientId && c.producerOf.length > 0 && <Go to="/messages" className="act" search={{ client: c.clientId }}>{w.sentBy}</Go>}
        {c.consumerOf.map((g) => <Go key={g} to="/messages" className="act" search={{ group: g }}>{w.given(g)}</Go>)}
      </div>
      <Told client={c} />
      {asking && <RunningDialog client={c} close={() => setAsking(false)} />}
    </Panel>
  )
}
