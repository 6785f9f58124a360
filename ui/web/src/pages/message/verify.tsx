// Lets one client of one group consume a message once more, and shows what it made of it.
import { useState } from 'react'
import { verify, verifyPath } from '../../api/acts'
import { useGroup, useGroups } from '../../api/queries'
import type { Message, Verified } from '../../api/types'
import { useT } from '../../i18n'
import { userTopic } from '../../lib/copies'
import { duration } from '../../lib/format'
import { Act, AsToo, Dialog, Failed } from '../../parts/dialog'
import { TopicName } from '../../parts/small'

export function VerifyDialog({ message: m, groups, close }: { message: Message; groups: string[]; close: () => void }) {
  const t = useT()
  const w = t.verify
  const online = (useGroups().data?.groups ?? []).filter((g) => g.online && !g.system).map((g) => g.name)
  const known = [...groups.filter((g) => online.includes(g)), ...online.filter((g) => !groups.includes(g))] // those that have to do with it first
  const [chosen, setGroup] = useState('')
  const group = chosen || known[0] || ''
  const [client, setClient] = useState('')
  const [state, setState] = useState<{ busy: boolean; got?: Verified; error?: unknown }>({ busy: false })
  const members = useGroup(group, group !== '').data?.members ?? []
  const to = members.some((c) => c.clientId === client) ? client : (members[0]?.clientId ?? '')
  const ask = { consumerGroup: group, clientId: to, broker: m.broker, topic: m.topic }
  const run = async () => {
    setState({ busy: true })
    try {
      setState({ busy: false, got: await verify(m.offsetId, ask) })
    } catch (error) {
      setState({ busy: false, error })
    }
  }
  const acts = (
    <>
      {to && <AsToo path={verifyPath(m.offsetId)} body={ask} />}
      <button type="button" className="act" onClick={close}>{state.got ? t.close : t.acts.cancel}</button>
      <Act primary test="verify-go" disabled={!to || state.busy} onClick={() => void run()}>{state.busy ? `${t.acts.working} …` : w.go}</Act>
    </>
  )
  return (
    <Dialog title={w.title} close={close} acts={acts} busy={state.busy}>
      <p className="intext"><TopicName name={userTopic(m)} /> <span className="mono dim">{m.id}</span></p>
      <p className="warn">! {w.what}</p>
      {known.length === 0 && <p>{w.noGroups}</p>}
      {known.length > 0 && (
        <>
          <label className="field"><span>{w.group}</span>
            <select className="input" value={group} onChange={(e) => setGroup(e.target.value)}>{known.map((g) => <option key={g} value={g}>{g}</option>)}</select>
          </label>
          {members.length === 0 ? <p>{w.nobody}</p> : (
            <label className="field"><span>{w.client}</span>
              <select className="input" value={to} onChange={(e) => setClient(e.target.value)}>{members.map((c) => <option key={c.clientId} value={c.clientId}>{c.clientId} ({c.language} {c.version})</option>)}</select>
            </label>
          )}
        </>
      )}
      {state.busy && <p role="status">{w.wait} …</p>}
      {state.got && <Result got={state.got} />}
      <Failed error={state.error} />
    </Dialog>
  )
}

const good = ['CR_SUCCESS', 'CR_COMMIT']

function Result({ got }: { got: Verified }) {
  const t = useT()
  const ok = good.includes(got.consumeResult)
  return (
    <div role="status" data-test="verified">
      <p className={ok ? 'ok' : 'bad'}>
        {ok ? '✓' : '✕'} <b>{t.verify.results[got.consumeResult] ?? got.consumeResult}</b> {t.verify.took(duration(got.spentTimeMills * 1000))} <span className="mono dim">{got.consumeResult}</span>
      </p>
      {got.remark && (
        <>
          <h2>{t.verify.remark}</h2>
          <pre className="stack" tabIndex={0} aria-label={t.verify.remark} style={{ maxHeight: 220, marginTop: 4 }}>{got.remark}</pre>
        </>
      )}
    </div>
  )
}
