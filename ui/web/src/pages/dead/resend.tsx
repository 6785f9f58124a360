// The dialog that gives dead letters to their group again: what will happen, how far it is, what came of each.
import { useEffect, useRef, useState } from 'react'
import { letters, lettersPath, resend, useFresh, type LetterFilter, type LetterRef } from '../../api/acts'
import { useGroup, useOverview } from '../../api/queries'
import type { DeadLetter, ResentLetter } from '../../api/types'
import { useT } from '../../i18n'
import { batchSize, gather, inBatches, tally } from '../../lib/batches'
import { brokerCli } from '../../lib/cli'
import { count, middle } from '../../lib/format'
import { Act, AsToo, Dialog, Failed, Progress } from '../../parts/dialog'
import { Go, Time, TopicName } from '../../parts/small'

/** What the dialog needs to know of a letter. */
export type Letter = Pick<DeadLetter, 'broker' | 'offset' | 'topic' | 'uniqKey' | 'originMessage' | 'keys' | 'resentAt'>
export type Wanted = { letters: Letter[] } | { filter: LetterFilter }

const shownMax = 300
const partMax = 1000

type State = { phase: 'gather' | 'ask' | 'run' | 'done'; found: Letter[]; more: boolean; done: number; outcomes: ResentLetter[]; error?: unknown }

export function ResendDialog({ group, wanted, close }: { group: string; wanted: Wanted; close: () => void }) {
  const t = useT()
  const w = t.dead.dialog
  const fresh = useFresh()
  const given = 'letters' in wanted ? wanted.letters : undefined
  const [s, setState] = useState<State>({ phase: given ? 'ask' : 'gather', found: given ?? [], more: false, done: 0, outcomes: [] })
  const [again, setAgain] = useState(false)
  const stop = useRef(false)
  const patch = (p: Partial<State>) => setState((old) => ({ ...old, ...p }))
  useEffect(() => {
    if (!('filter' in wanted)) return
    let gone = false
    gather((before) => letters(group, wanted.filter, partMax, before), () => gone)
      .then(({ found, more }) => gone || patch({ phase: 'ask', found, more }))
      .catch((error: unknown) => gone || patch({ phase: 'ask', error }))
    return () => void (gone = true)
  }, [group, wanted])
  const before = s.found.filter((d) => d.resentAt).length
  const go = again ? s.found : s.found.filter((d) => !d.resentAt)
  const run = async () => {
    stop.current = false
    patch({ phase: 'run', done: 0, outcomes: [], error: undefined })
    const refs: LetterRef[] = go.map(({ broker, offset }) => ({ broker, offset })).reverse() // those that died first go first
    const outcomes = await inBatches(refs, (batch) => resend(group, batch, again), (p) => patch({ done: p.done }), () => stop.current)
    patch({ phase: 'done', outcomes, done: outcomes.length })
    fresh()
  }
  const end = () => {
    stop.current = true
    close()
  }
  const acts = (
    <>
      {s.phase === 'ask' && go.length > 0 && <CopyAs group={group} letters={go} again={again} />}
      {s.phase === 'run' && <button type="button" className="act" onClick={() => (stop.current = true)}>{w.stop}</button>}
      {s.phase !== 'run' && <button type="button" className="act" onClick={end}>{s.phase === 'done' ? t.close : t.acts.cancel}</button>}
      {s.phase === 'ask' && <Act primary test="resend-go" disabled={go.length === 0} onClick={() => void run()}>{w.go(count(go.length))}</Act>}
    </>
  )
  return (
    <Dialog title={w.title(group)} close={end} acts={acts} busy={s.phase === 'run'} size={760}>
      {s.phase === 'gather' && <p role="status">{w.counting} …</p>}
      {s.phase === 'ask' && <Ask group={group} state={s} before={before} again={again} setAgain={setAgain} />}
      {s.phase === 'run' && (
        <>
          <p role="status">{w.running(count(s.done), count(go.length))}</p>
          <Progress done={s.done} all={go.length} />
          <p className="dim">{w.batches(batchSize)}</p>
        </>
      )}
      {s.phase === 'done' && <Outcomes outcomes={s.outcomes} letters={s.found} />}
      <Failed error={s.error} />
    </Dialog>
  )
}

type AskProps = { group: string; state: State; before: number; again: boolean; setAgain: (v: boolean) => void }

function Ask({ group, state: s, before, again, setAgain }: AskProps) {
  const t = useT()
  const w = t.dead.dialog
  const g = useGroup(group)
  const n = s.found.length
  const topics = [...new Set(s.found.map((d) => d.topic))]
  if (n === 0) return <p>{w.nothing}</p>
  return (
    <>
      <p>
        {w.what(count(n), group)}
      </p>
      <dl className="facts">
        <dt>{w.from}</dt>
        <dd>{topics.slice(0, 5).map((x) => <span key={x} style={{ marginRight: 8 }}><TopicName name={x} /></span>)}{topics.length > 5 && `+ ${topics.length - 5}`}</dd>
        <dt>{w.others}</dt>
        <dd>{w.nobodyElse}</dd>
        <dt>{w.members}</dt>
        <dd className={g.data && !g.data.online ? 'warn' : ''}>{g.data ? (g.data.online ? w.online(g.data.members.length) : w.offline) : t.unknown}</dd>
        <dt>{w.kept}</dt>
        <dd>{w.staysHere}</dd>
      </dl>
      {s.more && <p className="warn">! {w.more(count(n))}</p>}
      {before > 0 && (
        <>
          <p className="warn" data-test="resent-before">! {w.before(count(before))}</p>
          <label className="checks"><input type="checkbox" checked={again} onChange={(e) => setAgain(e.target.checked)} data-test="again" /> {w.again(count(before))}</label>
        </>
      )}
    </>
  )
}

const tones: Record<string, string> = { resent: 'ok', already: 'warn', missing: 'none', refused: 'bad', unknown: 'bad', 'not-tried': 'none' }

function Outcomes({ outcomes, letters }: { outcomes: ResentLetter[]; letters: Letter[] }) {
  const t = useT()
  const w = t.dead.dialog
  const byPlace = new Map(letters.map((d) => [`${d.broker}/${d.offset}`, d]))
  const worst = [...outcomes].sort((a, b) => Number(a.outcome === 'resent') - Number(b.outcome === 'resent')) // what needs a person first
  return (
    <>
      <p role="status" data-test="outcomes">
        {tally(outcomes).map(({ outcome, n }, i) => (
          <span key={outcome}>{i > 0 && ' · '}<b className={tones[outcome]}>{count(n)} {w.outcomes[outcome] ?? outcome}</b></span>
        ))}
      </p>
      <div className="scroll" tabIndex={0} role="group" aria-label={w.result}>
        <table className="plain-table">
          <thead><tr><th scope="col">{t.dead.letter}</th><th scope="col">{w.result}</th><th scope="col">{w.stored}</th><th scope="col">{w.story}</th></tr></thead>
          <tbody>
            {worst.slice(0, shownMax).map((o) => {
              const d = byPlace.get(`${o.broker}/${o.offset}`)
              const id = d ? d.uniqKey || d.originMessage : ''
              return (
                <tr key={`${o.broker}/${o.offset}`}>
                  <td className="mono" title={id}>{d?.keys || (id ? middle(id) : `${o.broker} : ${o.offset}`)}</td>
                  <td><span className={tones[o.outcome]}>{w.outcomes[o.outcome] ?? o.outcome}</span> {o.why && <span className="dim">{o.why}</span>}</td>
                  <td className="nowrap">{o.at > 0 && <Time ms={o.at} precision="ms" />}</td>
                  <td>{id && <Go to="/messages/$id" params={{ id }}>{w.open}</Go>}</td>
                </tr>
              )
            })}
          </tbody>
        </table>
      </div>
      {outcomes.length > shownMax && <p className="dim">{w.shown(count(shownMax), count(outcomes.length))}</p>}
    </>
  )
}

function CopyAs({ group, letters, again }: { group: string; letters: Letter[]; again: boolean }) {
  const broker = useOverview().data?.node.storeHost ?? '127.0.0.1:10911'
  const some = letters.slice(0, batchSize)
  const one = some.every((d) => d.broker === some[0].broker)
  const words = ['dlq', 'resend', group, ...some.map((d) => String(d.offset)), '--groups', some[0].broker, ...(again ? ['--again'] : [])]
  return <AsToo cli={one ? brokerCli(words, broker) : undefined} path={lettersPath(group, '/resend')} body={{ letters: some.map(({ broker: b, offset }) => ({ broker: b, offset })), again }} />
}
