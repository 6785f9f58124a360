// Cancels a scheduled message; that it is too late is an answer, too.
import { useState } from 'react'
import { cancelScheduled, useFresh } from '../../api/acts'
import { useOverview } from '../../api/queries'
import type { Cancelled, Message } from '../../api/types'
import { useT } from '../../i18n'
import { brokerCli, recallHandle } from '../../lib/cli'
import { Act, AsToo, Dialog, Failed } from '../../parts/dialog'
import { Go, Time, TopicName } from '../../parts/small'

export type Waiting = Pick<Message, 'realTopic' | 'broker' | 'dueMicros' | 'id' | 'keys'>

export function CancelDialog({ message: m, close }: { message: Waiting; close: () => void }) {
  const t = useT()
  const w = t.scheduled.dialog
  const fresh = useFresh()
  const broker = useOverview().data?.node.storeHost ?? '127.0.0.1:10911'
  const [state, setState] = useState<{ busy: boolean; got?: Cancelled; error?: unknown }>({ busy: false })
  const handle = recallHandle(m.realTopic, m.broker, m.dueMicros, m.id)
  const run = async () => {
    setState({ busy: true })
    try {
      setState({ busy: false, got: await cancelScheduled(m.realTopic, handle) })
    } catch (error) {
      setState({ busy: false, error })
    }
  }
  const end = () => (fresh(), close())
  const acts = (
    <>
      {!state.got && <AsToo cli={brokerCli(['schedule', 'cancel', m.realTopic, handle], broker)} path="/scheduled/cancel" body={{ topic: m.realTopic, recallHandle: handle }} />}
      <button type="button" className="act" onClick={end}>{state.got ? t.close : t.acts.back}</button>
      {!state.got && <Act danger test="cancel-go" disabled={state.busy} onClick={() => void run()}>{w.go}</Act>}
    </>
  )
  const ok = state.got?.outcome === 'cancelled'
  return (
    <Dialog title={w.title} close={end} acts={acts} busy={state.busy}>
      <p>{w.what(m.realTopic)}</p>
      <dl className="facts">
        <dt>{t.messages.columns.topic}</dt>
        <dd><TopicName name={m.realTopic} /></dd>
        <dt>{t.messages.columns.id}</dt>
        <dd className="mono"><Go to="/messages/$id" params={{ id: m.id }}>{m.id}</Go></dd>
        {m.keys.length > 0 && <><dt>{t.messages.columns.keys}</dt><dd className="mono">{m.keys.slice(0, 5).join(' ')}</dd></>}
        <dt>{w.due}</dt>
        <dd><Time ms={m.dueMicros / 1000} precision="ms" /></dd>
      </dl>
      {!state.got && <p className="dim">{w.late}</p>}
      {state.got && <p role="status" className={ok ? 'ok' : 'warn'} data-test="cancelled">{ok ? '✓' : '!'} {w.outcomes[state.got.outcome] ?? state.got.text}</p>}
      <Failed error={state.error} />
    </Dialog>
  )
}
