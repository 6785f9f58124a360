// /transactions: half messages that nobody decided, oldest first; those that were given up; deciding in the producers' place.
import { useCallback, useMemo, useState } from 'react'
import { decide, decision, useFresh, useTransactions } from '../api/acts'
import { useClients, useOverview } from '../api/queries'
import type { Message, Transaction } from '../api/types'
import { now, useNow } from '../app/live'
import { copy } from '../app/say'
import { useRange, useUrl } from '../app/url'
import { path } from '../api/client'
import { Histogram } from '../charts/histogram'
import { useT } from '../i18n'
import { bars } from '../lib/buckets'
import { apiCall, brokerCli } from '../lib/cli'
import { age, bytes, count, duration, middle } from '../lib/format'
import { resolve } from '../lib/range'
import { Answer, Fact, Loaded } from '../parts/answer'
import { Act, AsToo, Dialog, Failed } from '../parts/dialog'
import { Panel, Tabs } from '../parts/panel'
import { Copy, Go, Swatch, Time, TimeAge, TopicName } from '../parts/small'
import { Table, type Column } from '../parts/table'
import { NoRows, Summary } from './messages/answer'
import { useMessageColumns } from './messages/columns'
import { Value } from './messages/filters'
import { useOpenMessage } from './messages/page'
import { Preview } from './messages/preview'
import { keyOf, useSearchStream } from './messages/stream'

const halfKey = (h: Transaction) => `${h.broker}/${h.halfOffset}`
const parkTopic = 'TRANS_CHECK_MAX_TIME_TOPIC'
const asked = 500

export function TransactionsPage() {
  const t = useT()
  const w = t.transactions
  const [params, set] = useUrl()
  const tab = params.tab === 'parked' ? 'parked' : 'open'
  const tabs = (['open', 'parked'] as const).map((id) => ({ id, label: w.tabs[id] }))
  const filter = { producerGroup: params.producerGroup, topic: params.topic, key: params.key }
  return (
    <>
      <div className="head">
        <h1>{w.title}</h1>
        {tab === 'open' && <State />}
        <span className="acts"><button type="button" className="act quiet" onClick={() => void copy(apiCall(path('/transactions', filter), location.origin), t.life.apiNote)}>{t.asApi}</button></span>
      </div>
      <Tabs tabs={tabs} value={tab} label={w.title} onChange={(id) => set({ tab: id === 'open' ? undefined : id, sel: undefined }, false)} />
      <div className="strip" style={{ paddingTop: 10 }}>
        {tab === 'open' && <Value name="producerGroup" first={params.producerGroup ?? ''} width={200} autoFocus={false} placeholder={w.groupFilter} done={(v) => v !== (params.producerGroup ?? '') && set({ producerGroup: v || undefined, sel: undefined }, false)} />}
        {tab === 'open' && <Value name="topic" first={params.topic ?? ''} width={200} autoFocus={false} placeholder={w.topic} done={(v) => v !== (params.topic ?? '') && set({ topic: v || undefined, sel: undefined }, false)} />}
        <Value name="key" first={params.key ?? ''} width={220} autoFocus={false} placeholder={t.messages.keyPlaceholder} done={(v) => v !== (params.key ?? '') && set({ key: v || undefined, sel: undefined }, false)} />
        <span className="grow" />
        <span className="dim" style={{ fontSize: 13 }}>{tab === 'open' ? t.dead.looking : w.parkedText}</span>
      </div>
      {tab === 'open' ? <Open filter={filter} /> : <Parked wanted={params.key} />}
    </>
  )
}

function State() {
  const t = useT()
  const list = useTransactions({}).data
  if (!list) return null
  return (
    <span className="say" data-test="state">
      {t.transactions.sentence(count(list.open))} <span className="dim">· {t.transactions.since}: {t.transactions.counts(count(list.committedTotal), count(list.rolledBackTotal), count(list.givenUpTotal), count(list.checksTotal))}</span>
    </span>
  )
}

const old = 60e3

function useColumns(): Column<Transaction>[] {
  const t = useT()
  const at = Math.floor(useNow() / 1000) * 1000
  return useMemo(() => {
    const w = t.transactions
    const c = t.messages.columns
    return [
      { id: 'age', label: w.age, width: 120, right: true, fixed: true, value: (h) => at - h.storedAt, render: (h) => <span className={at - h.storedAt > old ? 'warn' : ''}>{age(Math.max(0, at - h.storedAt))}</span> },
      { id: 'stored', label: w.stored, width: 176, fixed: true, value: (h) => h.storedAt, render: (h) => <Time ms={h.storedAt} precision="ms" /> },
      { id: 'group', label: w.group, width: 150, grow: 1, fixed: true, value: (h) => h.producerGroup },
      { id: 'topic', label: w.topic, width: 130, grow: 1, fixed: true, value: (h) => h.topic, render: (h) => <span className="cut"><Swatch name={h.topic} /> <TopicName name={h.topic} /></span> },
      { id: 'keys', label: c.keys, width: 120, grow: 1, fixed: true, value: (h) => h.keys ?? '', render: (h) => <span className="mono">{h.keys}</span> },
      { id: 'checks', label: w.checks, width: 110, right: true, fixed: true, value: (h) => h.checks },
      { id: 'next', label: w.nextCheck, width: 150, right: true, fixed: true, value: (h) => h.nextCheckAt, render: (h) => <NextCheck half={h} at={at} /> },
      { id: 'place', label: w.place, width: 140, right: true, fixed: true, hidden: true, value: halfKey, render: (h) => <>{h.broker} : {count(h.halfOffset)}</> },
      { id: 'id', label: c.id, width: 132, fixed: true, value: (h) => h.uniqKey, render: (h) => <span className="mono" title={h.uniqKey}>{middle(h.uniqKey)}</span> },
    ]
  }, [t, at])
}

function NextCheck({ half: h, at }: { half: Transaction; at: number }) {
  const t = useT()
  const when = h.nextCheckAt > at ? t.inFuture(duration(Math.ceil((h.nextCheckAt - at) / 1000) * 1e6)) : t.transactions.due
  return h.givenUpThen ? <span className="warn">{t.transactions.giveUp(when)}</span> : <span>{when}</span>
}

function Open({ filter }: { filter: { producerGroup?: string; topic?: string; key?: string } }) {
  const t = useT()
  const w = t.transactions
  const [params, set] = useUrl()
  const query = useTransactions(filter)
  const [deciding, setDeciding] = useState<{ half: Transaction; word: Word } | undefined>() // here, because its row goes when it is decided
  const columns = useColumns()
  const openMessage = useOpenMessage()
  const rows = query.data?.halves ?? []
  const picked = rows.find((h) => halfKey(h) === params.sel)
  const narrowed = !!(filter.producerGroup || filter.topic || filter.key)
  return (
    <Loaded query={query}>
      {() => (
        <div className="split">
          <div className="grow fill">
            <Table
              rows={rows} columns={columns} rowKey={halfKey} name="transactions" label={w.title} open={(h, tab) => openMessage({ id: h.uniqKey }, tab)} pick={(h) => set({ sel: halfKey(h) })} picked={picked && halfKey(picked)}
              updatedAt={query.dataUpdatedAt} foot={rows.length >= asked && <span>{w.shown(count(rows.length))}</span>}
              empty={<Answer tone={narrowed ? undefined : 'ok'} title={narrowed ? w.noneMatch : w.empty}><p>{narrowed ? t.dead.noneMatchText : w.emptyText}</p></Answer>}
            />
          </div>
          {picked && <One half={picked} decide={(word) => setDeciding({ half: picked, word })} close={() => set({ sel: undefined })} />}
          {deciding && <DecideDialog {...deciding} close={() => setDeciding(undefined)} />}
        </div>
      )}
    </Loaded>
  )
}

type Word = 'commit' | 'rollback'

function One({ half: h, decide, close }: { half: Transaction; decide: (word: Word) => void; close: () => void }) {
  const t = useT()
  const w = t.transactions
  const at = useNow()
  return (
    <Panel title={w.half} close={close} acts={<Go to="/messages/$id" params={{ id: h.uniqKey }} className="act">{t.messages.openLife} <kbd>Enter</kbd></Go>}>
      <dl className="facts">
        <Fact name={t.messages.columns.id} value={<><span className="mono">{h.uniqKey}</span><Copy text={h.uniqKey} what={t.messages.id} /></>} />
        <Fact name={w.topic} value={<TopicName name={h.topic} />} />
        <Fact name={t.messages.columns.keys} value={h.keys} mono />
        <Fact name={w.group} value={h.producerGroup} />
        <Fact name={w.stored} value={<TimeAge ms={h.storedAt} />} />
        <Fact name={w.checks} value={count(h.checks)} />
        <Fact name={w.lastCheck} value={h.lastCheckAt ? <TimeAge ms={h.lastCheckAt} /> : t.never} />
        <Fact name={w.nextCheck} value={<><Time ms={h.nextCheckAt} /> <span className="dim">· </span><NextCheck half={h} at={at} /></>} />
        <Fact name={t.messages.columns.size} value={bytes(h.bytes)} />
        <Fact name={w.place} value={`${h.broker} : ${count(h.halfOffset)}`} />
      </dl>
      <div className="row wrap" style={{ marginTop: 16 }}>
        <Act test="commit" onClick={() => decide('commit')}>{w.commit}</Act>
        <Act test="rollback" onClick={() => decide('rollback')}>{w.rollback}</Act>
      </div>
    </Panel>
  )
}

function DecideDialog({ half: h, word, close }: { half: Transaction; word: Word; close: () => void }) {
  const t = useT()
  const w = t.transactions.dialog
  const fresh = useFresh()
  const broker = useOverview().data?.node.storeHost ?? '127.0.0.1:10911'
  const producers = useClients().data?.clients.filter((c) => c.producerOf.includes(h.producerGroup)).length ?? 0
  const [reason, setReason] = useState('')
  const [state, setState] = useState<{ busy: boolean; done?: boolean; error?: unknown }>({ busy: false })
  const run = async () => {
    setState({ busy: true })
    try {
      await decide(h, word, reason)
      setState({ busy: false, done: true })
    } catch (error) {
      setState({ busy: false, error })
    }
  }
  const end = () => (fresh(), close())
  const acts = (
    <>
      {!state.done && <AsToo cli={brokerCli(['txn', word, '--groups', h.broker, '--offset', String(h.halfOffset), '--position', String(h.position)], broker)} path="/transactions/decide" body={decision(h, word, reason)} />}
      <button type="button" className="act" onClick={end}>{state.done ? t.close : t.acts.back}</button>
      {!state.done && <Act danger test="decide-go" disabled={state.busy || reason.trim() === ''} onClick={() => void run()}>{word === 'commit' ? w.commit : w.rollback}</Act>}
    </>
  )
  return (
    <Dialog title={word === 'commit' ? w.commit : w.rollback} close={end} acts={acts} busy={state.busy}>
      <p>{word === 'commit' ? w.commitWhat(h.topic) : w.rollbackWhat}</p>
      <p className="warn">! {w.warning}</p>
      <p className={producers ? 'warn' : 'dim'}>{producers ? w.online(producers) : w.gone}</p>
      {!state.done && (
        <label className="field"><span>{w.reason}</span>
          <input className="input" value={reason} maxLength={500} onChange={(e) => setReason(e.target.value)} data-test="reason" />
        </label>
      )}
      {state.done && <p role="status" className="ok" data-test="decided">✓ {word === 'commit' ? w.committed : w.rolledBack} <Go to="/messages/$id" params={{ id: h.uniqKey }}>{w.story}</Go></p>}
      <Failed error={state.error} />
    </Dialog>
  )
}

/** Given up after the last check: told by the trail, which sees them come into their topic. */
function Parked({ wanted }: { wanted?: string }) {
  const t = useT()
  const [params, set] = useUrl()
  const { range, setRange } = useRange()
  const window = useCallback(() => resolve(range, now() + ('last' in range ? 2000 : 0)), [range])
  const { found, stop, older, again } = useSearchStream({ topic: parkTopic, key: wanted }, window)
  const columns = useMessageColumns()
  const open = useOpenMessage()
  const rows: Message[] = found.messages
  const picked = rows.find((m) => m.id === params.sel)
  return (
    <>
      {found.from > 0 && <Histogram bars={bars({ from: found.from * 1000, to: found.to * 1000 }, found.done?.histogram, rows, 60)} dim={!found.fresh} onRange={(from, to) => setRange({ from, to })} />}
      <Summary found={found} stop={stop} yet={false} />
      <div className="split" aria-busy={!found.fresh} style={{ opacity: found.fresh ? 1 : 0.55 }}>
        <div className="grow fill">
          <Table rows={rows} columns={columns} rowKey={keyOf} name="transactions-parked" label={t.transactions.tabs.parked} end={older} open={open} pick={(m) => set({ sel: m.id })} picked={picked && keyOf(picked)} empty={<NoRows found={found} again={again} yet={false} />} />
        </div>
        {picked && <Preview message={picked} close={() => set({ sel: undefined })} />}
      </div>
    </>
  )
}
