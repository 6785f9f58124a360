// Empty and failure states: what was asked, what is the matter, what to do.
import type { ReactNode } from 'react'
import { ApiError } from '../api/client'
import { useT } from '../i18n'

type Tone = 'bad' | 'warn' | 'none' | 'ok'
const signs: Record<Tone, string> = { bad: '✕', warn: '!', none: '?', ok: '✓' }

export function Answer({ tone, title, children, acts }: { tone?: Tone; title: string; children?: ReactNode; acts?: ReactNode }) {
  return (
    <div className="answer" role={tone === 'bad' ? 'alert' : 'status'}>
      <h2>
        {tone && <span className={tone} aria-hidden="true">{signs[tone]}</span>}
        {title}
      </h2>
      {children}
      {acts && <div className="row wrap">{acts}</div>}
    </div>
  )
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const t = useT()
  const p = error instanceof ApiError ? error.problem : undefined
  const lost = p?.type === 'unreachable'
  return (
    <Answer tone="bad" title={lost ? t.problem.unreachable : (p?.title ?? String(error))} acts={retry && <button type="button" className="act" onClick={retry}>{t.retry}</button>}>
      <dl className="facts" style={{ marginTop: 10 }}>
        <Fact name={t.problem.why} value={p?.detail} />
        <Fact name={t.problem.next} value={lost ? t.problem.unreachableNext : p?.next} />
        <Fact name={t.problem.asked} value={error instanceof ApiError ? error.asked : ''} mono />
        <Fact name={t.problem.request} value={p?.id} mono />
      </dl>
    </Answer>
  )
}

export function Fact({ name, value, mono }: { name: string; value: ReactNode; mono?: boolean }) {
  if (value === undefined || value === null || value === '') return null
  return (
    <>
      <dt>{name}</dt>
      <dd className={mono ? 'mono' : ''}>{value}</dd>
    </>
  )
}

/** Grey bars, on the first load only. */
export function Skeleton({ rows = 8 }: { rows?: number }) {
  const t = useT()
  return (
    <div className="pad" role="status" aria-label={t.loading}>
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="skel" style={{ height: 14, width: `${90 - ((i * 37) % 50)}%`, margin: '14px 0' }} />
      ))}
    </div>
  )
}

type Loading<T> = { data: T | undefined; error: unknown; isPending: boolean; refetch: () => unknown }

/** Shows the data, else why there is none. Old data stays when a refresh fails; the words stand above it. */
export function Loaded<T>({ query, children, rows }: { query: Loading<T>; children: (data: T) => ReactNode; rows?: number }) {
  if (query.data !== undefined) {
    return (
      <>
        {query.error !== null && <Stale error={query.error} />}
        {children(query.data)}
      </>
    )
  }
  if (query.error) return <Failure error={query.error} retry={() => void query.refetch()} />
  return <Skeleton rows={rows} />
}

function Stale({ error }: { error: unknown }) {
  const t = useT()
  const p = error instanceof ApiError ? error.problem : undefined
  return (
    <div className="strip bad" role="alert">
      ✕ {p?.type === 'unreachable' ? t.problem.unreachable : (p?.title ?? String(error))} {p?.id}
    </div>
  )
}
