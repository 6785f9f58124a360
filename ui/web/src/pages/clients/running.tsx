// What a consumer is doing, as it says itself: its queues, how fast it is, the stacks of its threads.
import { useState } from 'react'
import { running } from '../../api/acts'
import type { Client, Running } from '../../api/types'
import { copy } from '../../app/say'
import { useT } from '../../i18n'
import { count, duration, rate } from '../../lib/format'
import { Act, AsToo, Dialog, Failed } from '../../parts/dialog'
import { Age, Swatch } from '../../parts/small'

export function RunningDialog({ client: c, close }: { client: Client; close: () => void }) {
  const t = useT()
  const w = t.running
  const [group, setGroup] = useState(c.consumerOf[0] ?? '')
  const [stacks, setStacks] = useState(false)
  const [state, setState] = useState<{ busy: boolean; got?: Running; asked?: boolean; error?: unknown }>({ busy: false })
  const run = async () => {
    setState((s) => ({ ...s, busy: true, error: undefined }))
    try {
      setState({ busy: false, asked: stacks, got: await running(group, c.clientId, stacks) })
    } catch (error) {
      setState({ busy: false, error })
    }
  }
  const acts = (
    <>
      <AsToo path="/clients/running" body={{ consumerGroup: group, clientId: c.clientId, jstackEnable: stacks }} />
      <button type="button" className="act" onClick={close}>{t.close}</button>
      <Act primary test="running-go" disabled={state.busy || !group} onClick={() => void run()}>{state.busy ? `${t.acts.working} …` : w.ask}</Act>
    </>
  )
  return (
    <Dialog title={w.title(c.clientId)} close={close} acts={acts} busy={state.busy} size={980}>
      <div className="row wrap" style={{ marginBottom: 10 }}>
        {c.consumerOf.length > 1 && <label className="row"><span className="dim">{w.group}</span><select className="input" value={group} onChange={(e) => setGroup(e.target.value)}>{c.consumerOf.map((g) => <option key={g} value={g}>{g}</option>)}</select></label>}
        <label className="checks" style={{ margin: 0 }}><input type="checkbox" checked={stacks} onChange={(e) => setStacks(e.target.checked)} data-test="stacks" /> {w.stacks}</label>
      </div>
      {state.got && <Told got={state.got} asked={state.asked ?? false} />}
      <Failed error={state.error} />
    </Dialog>
  )
}

function Told({ got, asked }: { got: Running; asked: boolean }) {
  const t = useT()
  const w = t.running
  return (
    <div data-test="running">
      {asked && <Stacks got={got} />}
      <h2>{w.queues}</h2>
      <div className="scroll" tabIndex={0} role="group" aria-label={w.queues}>
        <table className="plain-table">
          <thead><tr><th scope="col">{t.groups.topic}</th><th scope="col">{t.groups.broker}</th><th scope="col" className="num">{t.groups.queue}</th><th scope="col" className="num">{w.committed}</th><th scope="col" className="num">{w.cached}</th><th scope="col" className="num">{w.lastPull}</th><th scope="col" className="num">{w.lastConsume}</th><th scope="col"></th></tr></thead>
          <tbody>
            {got.queues.map((q) => (
              <tr key={`${q.brokerGroup}/${q.topic}/${q.queueId}`}>
                <td><Swatch name={q.topic} /> {q.topic}</td><td>{q.brokerGroup}</td><td className="num">{q.queueId}</td><td className="num">{count(q.commitOffset)}</td><td className="num">{count(q.cachedMsgCount)}</td>
                <td className="num"><Age ms={q.lastPullTimestamp} /></td><td className="num"><Age ms={q.lastConsumeTimestamp} /></td>
                <td>{q.locked && <span className="tag">{w.locked}</span>} {q.droped && <span className="tag bad">{w.dropped}</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>{w.topics}</h2>
      <div className="scroll" tabIndex={0} role="group" aria-label={w.topics}>
        <table className="plain-table">
          <thead><tr><th scope="col">{t.groups.topic}</th><th scope="col" className="num">{w.pull}</th><th scope="col" className="num">{w.ok}</th><th scope="col" className="num">{w.failed}</th><th scope="col" className="num">{w.took}</th><th scope="col" className="num">{w.failedHour}</th></tr></thead>
          <tbody>{got.topics.map((x) => <tr key={x.topic}><td><Swatch name={x.topic} /> {x.topic}</td><td className="num">{rate(x.pullTPS)}</td><td className="num">{rate(x.consumeOKTPS)}</td><td className="num">{x.consumeFailedTPS > 0 ? <span className="bad">{rate(x.consumeFailedTPS)}</span> : '0'}</td><td className="num">{duration(x.consumeRT * 1000)}</td><td className="num">{count(x.consumeFailedMsgs)}</td></tr>)}</tbody>
        </table>
      </div>
      <details>
        <summary className="dim">{w.properties}</summary>
        <dl className="facts" style={{ marginTop: 8 }}>{Object.entries(got.properties).sort().map(([k, v]) => <div key={k} style={{ display: 'contents' }}><dt className="mono">{k}</dt><dd className="mono">{v}</dd></div>)}</dl>
      </details>
    </div>
  )
}

function Stacks({ got }: { got: Running }) {
  const t = useT()
  const w = t.running
  if (!got.stacks) return <p className="dim">{w.noStacks}</p>
  return (
    <>
      <div className="row between"><h2>{w.threads}</h2><button type="button" className="act quiet" onClick={() => void copy(got.stacks, t.copied)}>{t.copy}</button></div>
      <pre className="stack" tabIndex={0} aria-label={w.threads} style={{ marginBottom: 12 }}>{got.stacks}</pre>
      {got.stacksTruncated && <p className="warn">! {w.truncated}</p>}
    </>
  )
}
