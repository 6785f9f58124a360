// The wizard that moves a group: which queues and where to, what that would mean, what came of each queue.
import { useState } from 'react'
import { offsetsPath, placesOf, planReset, resetOffsets, useFresh } from '../../api/acts'
import { useOverview } from '../../api/queries'
import type { Group, ResetOutcome, ResetPlace, ResetPlan, ResetWish } from '../../api/types'
import { useZone } from '../../app/prefs'
import { now } from '../../app/live'
import { useT } from '../../i18n'
import { brokerCli } from '../../lib/cli'
import { count } from '../../lib/format'
import { parseTime, stamp } from '../../lib/time'
import { choices, movable, sums, wishOf, type Form } from '../../lib/reset'
import { Act, AsToo, Dialog, Failed, TypeName } from '../../parts/dialog'
import { Time } from '../../parts/small'

type State = { busy: boolean; plan?: ResetPlan; outcomes?: ResetOutcome[]; error?: unknown }

export function ResetDialog({ group, close }: { group: Group; close: () => void }) {
  const t = useT()
  const w = t.reset
  const fresh = useFresh()
  const zone = useZone()
  const [form, setForm] = useState<Form>({ topic: '', queue: '', to: 'time', time: stamp(now() - 3600e3, zone, 0), offset: '' })
  const [state, setState] = useState<State>({ busy: false })
  const [typed, setTyped] = useState('')
  const wish = wishOf(form, parseTime(form.time, zone, now()))
  const moves = movable(state.plan?.queues ?? [])
  const act = async (f: () => Promise<Partial<State>>) => {
    setState((s) => ({ ...s, busy: true, error: undefined }))
    try {
      const got = await f()
      setState((s) => ({ ...s, ...got, busy: false }))
    } catch (error) {
      setState((s) => ({ ...s, busy: false, error }))
    }
  }
  const preview = () => act(async () => ({ plan: await planReset(group.name, wish!) }))
  const run = () => act(async () => ({ outcomes: await resetOffsets(group.name, moves) })).then(fresh)
  const acts = (
    <>
      {wish && !state.outcomes && <CopyAs group={group.name} wish={wish} moves={state.plan ? moves : undefined} />}
      {state.plan && !state.outcomes && <button type="button" className="act" onClick={() => setState({ busy: false })}>{t.acts.back}</button>}
      <button type="button" className="act" onClick={close}>{state.outcomes ? t.close : t.acts.cancel}</button>
      {!state.plan && <Act primary test="reset-preview" disabled={!wish || state.busy} onClick={() => void preview()}>{w.preview}</Act>}
      {state.plan && !state.outcomes && <Act danger test="reset-go" disabled={typed !== group.name || moves.length === 0 || state.busy} onClick={() => void run()}>{w.go(count(moves.length))}</Act>}
    </>
  )
  return (
    <Dialog title={w.title(group.name)} close={close} acts={acts} busy={state.busy} size={860}>
      {!state.plan && <Where group={group} form={form} change={(p) => setForm({ ...form, ...p })} />}
      {state.plan && !state.outcomes && (
        <>
          <Preview plan={state.plan} />
          {moves.length > 0 && <TypeName name={group.name} value={typed} change={setTyped} />}
        </>
      )}
      {state.outcomes && <Outcomes outcomes={state.outcomes} plan={state.plan!} />}
      <Failed error={state.error} />
    </Dialog>
  )
}

const targets = ['time', 'earliest', 'latest', 'offset'] as const

function Where({ group, form, change }: { group: Group; form: Form; change: (p: Partial<Form>) => void }) {
  const t = useT()
  const w = t.reset
  const { topics, queues } = choices(group, form.topic)
  const needsQueue = form.to === 'offset'
  return (
    <>
      <fieldset className="plain">
        <legend>{w.where}</legend>
        <div className="row wrap" style={{ marginBottom: 10 }}>
          <select className="input" aria-label={t.groups.topic} data-test="reset-topic" value={form.topic} onChange={(e) => change({ topic: e.target.value, queue: '' })}>
            {!needsQueue && <option value="">{w.whole}</option>}
            {needsQueue && form.topic === '' && <option value="">{t.groups.topic} …</option>}
            {topics.map((x) => <option key={x} value={x}>{x}</option>)}
          </select>
          {form.topic && (
            <select className="input" aria-label={t.groups.queue} value={form.queue} onChange={(e) => change({ queue: e.target.value })}>
              {!needsQueue && <option value="">{w.allQueues}</option>}
              {needsQueue && form.queue === '' && <option value="">{t.groups.queue} …</option>}
              {queues.map((q) => <option key={`${q.broker}/${q.queueId}`} value={`${q.broker}/${q.queueId}`}>{w.queueOf(q.broker, q.queueId)}</option>)}
            </select>
          )}
          {!form.topic && <span className="dim">{w.wholeNote}</span>}
        </div>
      </fieldset>
      <fieldset className="plain">
        <legend>{w.to}</legend>
        <div className="row wrap" role="radiogroup" aria-label={w.to} style={{ gap: 4, marginBottom: 8 }}>
          {targets.map((x) => (
            <label key={x} className={form.to === x ? 'act on' : 'act'} style={{ gap: 6 }}>
              <input type="radio" name="reset-to" checked={form.to === x} onChange={() => change({ to: x })} data-test={`reset-to-${x}`} /> {w.targets[x]}
            </label>
          ))}
        </div>
        <p className="dim">{w.targetNotes[form.to]}</p>
      </fieldset>
      {form.to === 'time' && (
        <label className="field"><span>{w.time} <span className="dim">({t.range.hint})</span></span>
          <input className="input" value={form.time} onChange={(e) => change({ time: e.target.value })} data-test="reset-time" spellCheck={false} />
        </label>
      )}
      {form.to === 'offset' && (
        <label className="field"><span>{w.offset}</span>
          <input className="input" value={form.offset} inputMode="numeric" onChange={(e) => change({ offset: e.target.value })} />
        </label>
      )}
      <p className={group.online ? 'warn' : 'dim'}>{group.online ? `! ${w.online}` : w.offline}</p>
    </>
  )
}

function Preview({ plan }: { plan: ResetPlan }) {
  const t = useT()
  const w = t.reset
  const { again, skipped } = sums(plan.queues)
  const still = movable(plan.queues).length === 0
  return (
    <>
      <p role="status" data-test="reset-sums"><b>{still ? w.nothing : w.wouldMove(count(again), count(skipped))}</b></p>
      <Places plan={plan} />
      {!still && <p className={plan.online ? 'warn' : 'dim'}>{plan.online ? `! ${w.online}` : w.offline}</p>}
      {!still && <p className="dim">{w.seen}</p>}
    </>
  )
}

const placeKey = (p: { brokerGroup: string; topic: string; queueId: number }) => `${p.brokerGroup}/${p.topic}/${p.queueId}`

function Places({ plan, outcomes }: { plan: ResetPlan; outcomes?: Map<string, ResetOutcome> }) {
  const t = useT()
  const w = t.reset
  const several = new Set(plan.queues.map((q) => q.brokerGroup)).size > 1
  const rows = outcomes ? plan.queues.filter((q) => outcomes.has(placeKey(q))) : plan.queues
  return (
    <div className="scroll" tabIndex={0} role="group" aria-label={w.preview}>
      <table className="plain-table" data-test="reset-places">
        <thead>
          <tr>
            <th scope="col">{t.groups.topic}</th>
            {several && <th scope="col">{t.groups.broker}</th>}
            <th scope="col" className="num">{w.queue}</th><th scope="col" className="num">{w.from}</th><th scope="col" className="num">{w.toOffset}</th>
            <th scope="col" className="num">{w.again}</th><th scope="col" className="num">{w.skipped}</th>
            {outcomes ? <th scope="col">{w.outcome}</th> : <th scope="col">{w.stored}</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((q) => {
            const o = outcomes?.get(placeKey(q))
            return (
              <tr key={placeKey(q)}>
                <td>{q.topic}</td>
                {several && <td>{q.brokerGroup}</td>}
                <td className="num">{q.queueId}</td>
                <td className="num">{q.committed < 0 ? <span className="dim">{w.unset}</span> : count(q.committed)}</td>
                <td className="num">{count(q.to)}</td>
                <td className="num">{q.messagesAgain ? <span className="warn">↻ {count(q.messagesAgain)}</span> : <span className="dim">0</span>}</td>
                <td className="num">{q.messagesSkipped ? <span className="bad">↷ {count(q.messagesSkipped)}</span> : <span className="dim">0</span>}</td>
                {o ? <td><span className={o.outcome === 'moved' ? 'ok' : 'bad'}>{o.outcome === 'moved' ? '✓' : '✕'} {w.outcomes[o.outcome] ?? o.outcome}</span> <span className="dim">{o.why}</span></td> : <td className="nowrap"><Span place={q} /></td>}
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}

function Span({ place: q }: { place: ResetPlace }) {
  if (!q.oldestMillis) return null
  return <><Time ms={q.oldestMillis} /> – <Time ms={q.newestMillis} /></>
}

function Outcomes({ outcomes, plan }: { outcomes: ResetOutcome[]; plan: ResetPlan }) {
  const t = useT()
  const moved = outcomes.filter((o) => o.outcome === 'moved').length
  return (
    <>
      <p role="status" data-test="reset-outcome"><b className={moved === outcomes.length ? 'ok' : 'bad'}>{t.reset.moved(count(moved), count(outcomes.length))}</b></p>
      <Places plan={plan} outcomes={new Map(outcomes.map((o) => [placeKey(o), o]))} />
      <p className="dim">{t.reset.undo}</p>
    </>
  )
}

function CopyAs({ group, wish, moves }: { group: string; wish: ResetWish; moves?: ResetPlace[] }) {
  const broker = useOverview().data?.node.storeHost ?? '127.0.0.1:10911'
  const to = wish.to === 'offset' ? ['--offset', String(wish.offset)] : ['--to', wish.to === 'time' ? new Date(wish.storedMillis!).toISOString() : wish.to]
  const words = wish.topic ? ['group', 'reset-offset', group, '--topic', wish.topic, ...to, ...(wish.queueId !== undefined && wish.queueId !== null ? ['--queue', String(wish.queueId), '--groups', wish.brokerGroup!] : []), ...(moves ? ['--yes'] : [])] : undefined
  return <AsToo cli={words && brokerCli(words, broker)} path={offsetsPath(group, moves ? 'reset' : 'plan')} body={moves ? { queues: placesOf(moves) } : wish} />
}
