// Gives a group the offsets of another one: what would change per queue, then doing it.
import { useState } from 'react'
import { cloneOffsets, offsetsPath, useFresh } from '../../api/acts'
import { useGroup, useGroups } from '../../api/queries'
import type { Group } from '../../api/types'
import { useT } from '../../i18n'
import { cloned } from '../../lib/reset'
import { count } from '../../lib/format'
import { Act, AsToo, Dialog, Failed } from '../../parts/dialog'

export function CloneDialog({ group, close }: { group: Group; close: () => void }) {
  const t = useT()
  const w = t.clone
  const fresh = useFresh()
  const [from, setFrom] = useState('')
  const [topic, setTopic] = useState('')
  const [force, setForce] = useState(false)
  const [state, setState] = useState<{ busy: boolean; done?: string; error?: unknown }>({ busy: false })
  const others = (useGroups().data?.groups ?? []).filter((g) => g.name !== group.name && !g.system).map((g) => g.name)
  const source = useGroup(from, from !== '').data
  const rows = source && source.name === from ? cloned(source, group, topic) : []
  const topics = [...new Set((source?.queues ?? []).filter((q) => q.committed >= 0).map((q) => q.topic))].sort()
  const body = { from, topic: topic || undefined, force: force || undefined }
  const run = async () => {
    setState({ busy: true })
    try {
      const got = await cloneOffsets(group.name, body)
      setState({ busy: false, done: got.brokerGroups.join(', ') })
    } catch (error) {
      setState({ busy: false, error })
    }
    fresh()
  }
  const acts = (
    <>
      {from && !state.done && <AsToo path={offsetsPath(group.name, 'clone')} body={body} />}
      <button type="button" className="act" onClick={close}>{state.done ? t.close : t.acts.cancel}</button>
      {!state.done && <Act danger test="clone-go" disabled={rows.length === 0 || (group.online && !force) || state.busy} onClick={() => void run()}>{w.go}</Act>}
    </>
  )
  return (
    <Dialog title={w.title(group.name)} close={close} acts={acts} busy={state.busy} size={720}>
      {!state.done && (
        <div className="row wrap" style={{ alignItems: 'flex-end' }}>
          <label className="field"><span>{w.from}</span>
            <select className="input" value={from} onChange={(e) => (setFrom(e.target.value), setTopic(''))} data-test="clone-from"><option value="">…</option>{others.map((g) => <option key={g} value={g}>{g}</option>)}</select>
          </label>
          <label className="field"><span>{w.topic}</span>
            <select className="input" value={topic} disabled={!from} onChange={(e) => setTopic(e.target.value)}><option value="">{w.all}</option>{topics.map((x) => <option key={x} value={x}>{x}</option>)}</select>
          </label>
        </div>
      )}
      {from && source && rows.length === 0 && <p>{w.none}</p>}
      {rows.length > 0 && (
        <div className="scroll" tabIndex={0} role="group" aria-label={w.title(group.name)}>
          <table className="plain-table">
            <thead><tr><th scope="col">{t.groups.topic}</th><th scope="col">{t.groups.broker}</th><th scope="col" className="num">{t.groups.queue}</th><th scope="col" className="num">{w.ours}</th><th scope="col" className="num">{w.theirs}</th></tr></thead>
            <tbody>{rows.map((r) => <tr key={`${r.broker}/${r.topic}/${r.queueId}`}><td>{r.topic}</td><td>{r.broker}</td><td className="num">{r.queueId}</td><td className="num">{r.ours < 0 ? <span className="dim">{t.reset.unset}</span> : count(r.ours)}</td><td className="num">{count(r.theirs)}</td></tr>)}</tbody>
          </table>
        </div>
      )}
      {source?.online && !topic && <p className="dim">{w.note}</p>}
      {group.online && !state.done && (
        <>
          <p className="warn">! {w.online}</p>
          <label className="checks"><input type="checkbox" checked={force} onChange={(e) => setForce(e.target.checked)} data-test="clone-force" /> {w.force}</label>
        </>
      )}
      {state.done && <p role="status" className="ok" data-test="cloned">✓ {w.done(state.done)}</p>}
      <Failed error={state.error} />
    </Dialog>
  )
}
