// The four-valued answer of a search in words, with what was scanned and what to do next.
import type { ReactNode } from 'react'
import { ApiError } from '../../api/client'
import { useLive } from '../../app/live'
import { lastWords, rangeWords } from '../../app/range-picker'
import { useZone } from '../../app/prefs'
import { useRange, useUrl } from '../../app/url'
import { useT } from '../../i18n'
import { bytes, count, duration } from '../../lib/format'
import { lengthOf } from '../../lib/range'
import { clockMicros } from '../../lib/time'
import { Answer, Failure } from '../../parts/answer'
import { filterNames } from './filters'
import type { Found } from './stream'

export function Scanned({ found }: { found: Found }) {
  const t = useT()
  const d = found.done
  if (!d) return null
  if (d.rowsRead === 0) return <span className="dim">{t.messages.took(duration(d.elapsedMicros))}</span>
  return <span className="dim">{t.messages.scanned(count(d.rowsRead), bytes(d.bytesRead), duration(d.elapsedMicros))}</span>
}

const late = 3e6

/** One line above the table. */
export function Summary({ found, stop, yet, hidden = 0 }: { found: Found; stop: () => void; yet: boolean; hidden?: number }) {
  const t = useT()
  const zone = useZone()
  const lag = useLive().trail?.lagMicros ?? 0
  const running = found.state === 'running' || found.state === 'older'
  const n = count(found.messages.length - hidden)
  return (
    <div className="strip" role="status" data-test="summary" style={{ fontSize: 13, minHeight: 36, gap: '4px 12px' }}>
      {yet ? <span>{t.messages.askingAgain}</span> : running ? <span>{t.messages.searching} …</span> : <Words found={found} n={n} />}
      {running && found.scannedTo && <span className="dim">{t.messages.searchedBack(clockMicros(found.scannedTo, zone))}</span>}
      {running && <button type="button" className="act" onClick={stop}>{t.messages.stop}</button>}
      {!running && <Scanned found={found} />}
      {hidden > 0 && <span className="dim">{t.messages.hidden(count(hidden))}</span>}
      {found.done?.answer === 'found' && found.done.reason && <span className="warn">! {found.done.reason}</span>}
      {!running && lag > late && <span className="warn">! {t.messages.notYet(duration(lag))}</span>}
      <span className="grow" />
      <span className="dim">{t.messages.looking}</span>
    </div>
  )
}

function Words({ found, n }: { found: Found; n: string }) {
  const t = useT()
  if (found.state === 'stopped') return <span className="warn">! {t.messages.stoppedByYou}</span>
  if (found.state === 'broken' || found.done?.answer === 'failed') return <span className="bad">✕ {t.messages.failed}</span>
  if (found.done?.answer === 'not-recorded') return <span className="none">? {t.messages.notRecorded}</span>
  if (found.done && found.messages.length === 0) return <span>{t.messages.nothing}</span>
  return <b style={{ fontWeight: 600 }}>{found.done?.next ? t.messages.foundMore(n) : t.messages.found(n)}</b>
}

function useAsked(): ReactNode {
  const t = useT()
  const zone = useZone()
  const [params] = useUrl()
  const { range } = useRange()
  const said = filterNames.filter((f) => params[f]).map((f) => `${t.messages.filters[f]} = ${params[f]}`)
  return [...(params.id ? [`${t.messages.id} = ${params.id}`] : []), ...said, rangeWords(range, t, zone)].join(' · ')
}

/** Fills the table's place when there is no row to show. */
export function NoRows({ found, again, yet }: { found: Found; again: () => void; yet: boolean }) {
  const t = useT()
  const asked = useAsked()
  if (yet || found.state === 'running' || found.state === 'idle') return null
  if (found.error instanceof ApiError) return <Failure error={found.error} retry={again} />
  const d = found.done
  const failed = found.state === 'broken' || d?.answer === 'failed'
  const blind = d?.answer === 'not-recorded'
  const title = failed ? t.messages.failed : blind ? t.messages.notRecorded : found.state === 'stopped' ? t.messages.stoppedByYou : t.messages.nothing
  return (
    <Answer tone={failed ? 'bad' : blind ? 'none' : undefined} title={title} acts={<Offers failed={failed} again={again} />}>
      <p>{failed ? String(d?.reason ?? found.error ?? '') : blind ? t.messages.notRecordedText : d ? t.messages.nothingText : ''}</p>
      {!failed && d?.reason && <p>{d.reason}</p>}
      <p>{t.messages.within}: {asked}</p>
      <p><Scanned found={found} /></p>
    </Answer>
  )
}

const wider = ['1h', '24h', '7d', '30d']

function Offers({ failed, again }: { failed: boolean; again: () => void }) {
  const t = useT()
  const [params, set] = useUrl()
  const { range, setRange } = useRange()
  const length = 'last' in range ? lengthOf(range.last)! : 0
  const dropped = filterNames.findLast((f) => params[f])
  return (
    <>
      <button type="button" className="act" onClick={again}>{failed ? t.retry : t.refresh}</button>
      {wider.filter((w) => lengthOf(w)! > length).slice(0, 3).map((w) => (
        <button key={w} type="button" className="act" onClick={() => setRange({ last: w })}>{t.messages.widen(t.range.last(lastWords(w, t)))}</button>
      ))}
      {dropped && <button type="button" className="act" onClick={() => set({ [dropped]: undefined }, false)}>{t.messages.dropFilter(`${t.messages.filters[dropped]} = ${params[dropped]}`)}</button>}
    </>
  )
}
