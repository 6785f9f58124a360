// One sentence per group; its evidence one click away.
import { useState } from 'react'
import type { MessageLife, Verdict } from '../../api/types'
import { useNow } from '../../app/live'
import { useZone } from '../../app/prefs'
import { useT } from '../../i18n'
import { GroupName, Time } from '../../parts/small'
import { fact, sentence, toneOf } from './words'

export function Verdicts({ life }: { life: MessageLife }) {
  const t = useT()
  const far = life.verdicts.filter((v) => v.state === 'not-subscribed')
  const near = life.verdicts.filter((v) => v.state !== 'not-subscribed')
  if (life.verdicts.length === 0) return <p className="dim verdicts" data-test="verdicts">{t.life.noVerdicts}</p>
  return (
    <ul className="list verdicts" data-test="verdicts">
      {near.map((v) => (
        <Line key={v.group} verdict={v} />
      ))}
      {far.length > 0 && <Far verdicts={far} />}
    </ul>
  )
}

function Line({ verdict: v }: { verdict: Verdict }) {
  const t = useT()
  const zone = useZone()
  const now = useNow()
  const [open, setOpen] = useState(false)
  const { tone, sign } = toneOf(v)
  return (
    <li className="col">
      <span className="row verdict" style={{ alignItems: 'baseline' }}>
        <span className={tone} aria-hidden="true" style={{ width: 14 }}>{sign}</span>
        <b className="cut" style={{ maxWidth: 200, flex: 'none' }}><GroupName name={v.group} /></b>
        <span className={tone === 'ok' ? '' : tone} style={{ overflowWrap: 'anywhere' }}>{sentence(v, t, zone, now)}</span>
        {v.attempts > 1 && <span className="tag warn">↻ {t.life.attemptsAll(v.attempts)}</span>}
        <button type="button" className="act quiet why" aria-expanded={open} onClick={() => setOpen(!open)}>{t.life.why}</button>
      </span>
      {open && <EvidenceList verdict={v} />}
    </li>
  )
}

export function EvidenceList({ verdict }: { verdict: Verdict }) {
  const t = useT()
  return (
    <ul className="evidence" aria-label={t.life.evidence}>
      {verdict.evidence.map((e, i) => (
        <li key={i}>
          <span className="dim mono">{e.atMicros ? <Time ms={e.atMicros / 1000} precision="ms" /> : t.life.noEvidenceTime}</span>
          <span>{fact(e, t)}</span>
        </li>
      ))}
    </ul>
  )
}

const named = 6

function Far({ verdicts }: { verdicts: Verdict[] }) {
  const t = useT()
  const [all, setAll] = useState(false)
  const shown = all ? verdicts : verdicts.slice(0, named)
  return (
    <li className="dim intext">
      <span aria-hidden="true" style={{ width: 14 }}>–</span>
      <span>
        {t.life.state['not-subscribed']}:{' '}
        {shown.map((v, i) => (
          <span key={v.group}>
            {i > 0 && ', '}
            <GroupName name={v.group} />
          </span>
        ))}{' '}
        {verdicts.length > named && <button type="button" className="act quiet" onClick={() => setAll(!all)}>{all ? t.life.collapse : `+ ${verdicts.length - named}`}</button>}
      </span>
    </li>
  )
}
